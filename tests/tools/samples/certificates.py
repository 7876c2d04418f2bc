"""A certificate authority made in a test, and what it signs."""

import datetime
import ipaddress
from pathlib import Path

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import NameOID

PrivateKey = ec.EllipticCurvePrivateKey | rsa.RSAPrivateKey


class Authority:
    """Signs certificates and writes them to a folder; its own is signed by itself, or by `issuer`.

    Without `key_ids` nothing tells which key signed a certificate, so that only its signature does.
    """

    def __init__(
        self, folder: Path, name: str = "ca", issuer: "Authority | None" = None, key_ids: bool = True
    ) -> None:
        self._folder = folder
        self._key_ids = key_ids
        self._key = ec.generate_private_key(ec.SECP256R1())
        self._name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, name)])
        self.certificate = folder / f"{name}.pem"
        signed = (issuer or self)._sign(self._name, self._key, authority=True)
        self.certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))

    def issue(
        self,
        name: str,
        *,
        passphrase: str | None = None,
        pkcs1: bool = False,
        organization: str = "Example",
        until: datetime.datetime | None = None,
        host: str = "localhost",
        address: str = "127.0.0.1",
    ) -> tuple[Path, Path]:
        """A certificate for `host` and `address`, valid for a day or `until`, and its key: two files, written over."""
        key: PrivateKey = (
            rsa.generate_private_key(65537, 2048) if pkcs1 else ec.generate_private_key(ec.SECP256R1())
        )
        subject = x509.Name(
            [
                x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
                x509.NameAttribute(NameOID.COMMON_NAME, name),
            ]
        )
        certificate, key_file = self._folder / f"{name}.crt", self._folder / f"{name}.key"
        certificate.write_bytes(
            self._sign(subject, key, until=until, host=host, address=address).public_bytes(
                serialization.Encoding.PEM
            )
        )
        key_file.write_bytes(
            key.private_bytes(
                serialization.Encoding.PEM,
                serialization.PrivateFormat.TraditionalOpenSSL
                if pkcs1
                else serialization.PrivateFormat.PKCS8,
                serialization.BestAvailableEncryption(passphrase.encode())
                if passphrase
                else serialization.NoEncryption(),
            )
        )
        return certificate, key_file

    def _sign(
        self,
        subject: x509.Name,
        key: PrivateKey,
        authority: bool = False,
        until: datetime.datetime | None = None,
        host: str = "localhost",
        address: str = "127.0.0.1",
    ) -> x509.Certificate:
        now = datetime.datetime.now(datetime.UTC)
        until = until or now + datetime.timedelta(days=1)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self._name)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(min(now, until) - datetime.timedelta(hours=1))
            .not_valid_after(until)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        if self._key_ids:  # Python 3.13 refuses chains without
            own = x509.SubjectKeyIdentifier.from_public_key(key.public_key())
            signer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
            builder = builder.add_extension(own, critical=False).add_extension(signer, critical=False)
        if authority:
            signs = x509.KeyUsage(
                digital_signature=True, key_cert_sign=True, crl_sign=True, content_commitment=False,
                key_encipherment=False, data_encipherment=False, key_agreement=False, encipher_only=False,
                decipher_only=False,
            )  # fmt: skip
            builder = builder.add_extension(signs, critical=True)
        else:
            names = [x509.IPAddress(ipaddress.ip_address(address)), x509.DNSName(host)]
            builder = builder.add_extension(x509.SubjectAlternativeName(names), critical=False)
        return builder.sign(self._key, hashes.SHA256())

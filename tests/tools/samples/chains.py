"""Chains of certificates of every kind: right, forged, of another name, expired."""

import datetime
import ipaddress

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec

DAY = datetime.timedelta(days=1)


class Certificates:
    """Makes certificates into a folder, each signed by an earlier one or by itself."""

    def __init__(self, folder):
        self._folder = folder
        self._made = {}

    def make(self, name, issuer=None, *, subject=None, authority=False, address="127.0.0.1", ends=DAY):
        key = ec.generate_private_key(ec.SECP256R1())
        called = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, subject or name)])
        signer, signing_key = self._made[issuer] if issuer else (None, key)
        now = datetime.datetime.now(datetime.UTC)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(called)
            .issuer_name(signer.subject if signer else called)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - 9 * DAY)
            .not_valid_after(now + ends)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address(address))]), critical=False
            )
            .sign(signing_key, hashes.SHA256())
        )
        self._made[name] = (certificate, key)

    def pem(self, *names):
        path = self._folder / f"{'-'.join(names)}.pem"
        path.write_bytes(
            b"".join(self._made[name][0].public_bytes(serialization.Encoding.PEM) for name in names)
        )
        return path

    def key(self, name):
        path = self._folder / f"{name}.key"
        path.write_bytes(
            self._made[name][1].private_bytes(
                serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, serialization.NoEncryption()
            )
        )
        return path

    def fingerprint(self, name):
        return self._made[name][0].fingerprint(hashes.SHA256()).hex()


def chains(folder):
    """What the tests of trust present and believe. `good` is the right authority, `evil` the attacker's."""
    made = Certificates(folder)
    made.make("good", authority=True)
    made.make("inter", "good", authority=True)
    made.make("evil", authority=True)
    made.make("twin", subject="good", authority=True)
    made.make("leaf", "good")
    made.make("deep", "inter")
    made.make("elsewhere", "good", address="10.1.2.3")
    made.make("expired", "good", ends=-DAY)
    made.make("forged", "evil")
    made.make("forged_name", "twin")
    made.make("alone")
    return made

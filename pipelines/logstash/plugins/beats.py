"""`beats` declares the inputs `beats` and `elastic_agent`, which are one, and makes `BeatsOptions` of them."""

from typing import Any

from penstock.io.beats import BeatsOptions
from penstock.pipelines.logstash.plugins.declaration import (
    Made,
    PluginDeclaration,
    ignored,
    mapped,
    old,
    refused,
)
from penstock.pipelines.logstash.plugins.steps import filter_step, ornaments, when_step
from penstock.pipelines.logstash.plugins.values import Values
from penstock.transforms.logstash.compile import Step

__all__ = ["BEATS", "ELASTIC_AGENT"]

_VERSIONS = ("TLSv1", "TLSv1.1", "TLSv1.2", "TLSv1.3")
_OLD_VERSIONS = {"1": 0, "1.0": 0, "1.1": 1, "1.2": 2, "1.3": 3}
_SCRATCH = "[@metadata][_codec_text]"

_OPTIONS = (
    mapped("host", to="beats_host", default="0.0.0.0", note="all interfaces unless given, and the start says so"),  # noqa: S104
    mapped("port", "number", to="beats_port", required=True),
    mapped("client_inactivity_timeout", "number"),
    mapped("ssl_enabled", "boolean"),
    mapped("ssl_certificate", "path"),
    mapped("ssl_key", "path"),
    mapped("ssl_key_passphrase", "password"),
    mapped("ssl_certificate_authorities", "strings", note="alone it means that clients must show a certificate"),
    mapped("ssl_client_authentication", "choice", choices=("none", "optional", "required")),
    mapped("ssl_supported_protocols", "strings"),
    mapped("ssl_cipher_suites", "strings"),
    mapped("ssl_handshake_timeout", "number"),
    mapped("enrich", "strings", note="nothing unless asked for; ECS names below `@metadata`"),
    mapped("ssl", "boolean", to="", until=7, note="old name of ssl_enabled"),
    mapped("ssl_verify_mode", "choice", to="", choices=("none", "peer", "force_peer"), until=7,
           note="old form of ssl_client_authentication"),
    mapped("ssl_peer_metadata", "boolean", to="", until=7, note="old form of enrich => [ssl_peer_metadata]"),
    mapped("tls_min_version", "number", to="", until=7, note="old form of ssl_supported_protocols"),
    mapped("tls_max_version", "number", to="", until=7, note="old form of ssl_supported_protocols"),
    mapped("cipher_suites", "strings", to="", until=7, note="old name of ssl_cipher_suites"),
    mapped("ecs_compatibility", "choice", to="", choices=("disabled", "v1", "v8"),
           note="for fields that are asked for (`--logstash_fields`, `enrich`)"),
    *ignored("one thread serves each client", "executor_threads", "event_loop_threads"),
    *ignored("the tag is added only when the file names it, or by --logstash_fields", "include_codec_tag"),
    *ignored("Beats send [host][name] themselves", "add_hostname"),
    *old("back-pressure does this", "congestion_threshold", "target_field_for_codec", until=5),
    *refused("give PEM files: ssl_certificate and ssl_key", "ssl_keystore_path", "ssl_keystore_password"),
)  # fmt: skip


def _make(values: Values) -> Made:
    _old_names(values)
    more: dict[str, Any] = {}
    if values["ssl_certificate_authorities"] and values["ssl_client_authentication"] is None:
        more["ssl_client_authentication"] = "required"
        values.derived("ssl_client_authentication", "required", "follows from ssl_certificate_authorities")
    if not values.given("enrich") and values.situation.names("[input][beats]", "ip_address"):
        more["enrich"] = ["source_metadata"]
    options = values.component(BeatsOptions, **more)
    if not values.given("host"):
        values.note(
            'listens on 0.0.0.0, all interfaces, as Logstash does; give host => "127.0.0.1" for this machine alone'
        )
    return Made(options=options, after=tuple(_codec_steps(values)))


def _old_names(values: Values) -> None:
    """Turns the options of older versions into today's."""
    if values["ssl"] is not None and not values.given("ssl_enabled"):
        values.set("ssl_enabled", values["ssl"])
    if values["cipher_suites"] and not values.given("ssl_cipher_suites"):
        values.set("ssl_cipher_suites", values["cipher_suites"])
    if values["ssl_verify_mode"]:
        mode = {"none": "none", "peer": "optional", "force_peer": "required"}[values["ssl_verify_mode"]]
        if mode != "none" or not values["ssl_certificate_authorities"]:
            values.set("ssl_client_authentication", mode)
        else:
            values.set(
                "ssl_certificate_authorities", []
            )  # ssl_verify_mode none: nobody is asked for a certificate
    if values["ssl_peer_metadata"]:
        values.set("enrich", [*(values["enrich"] or ()), "ssl_peer_metadata"])
    lowest, highest = values["tls_min_version"], values["tls_max_version"]
    if lowest is not None or highest is not None:
        first = _OLD_VERSIONS.get(str(lowest), 2) if lowest is not None else 2
        last = _OLD_VERSIONS.get(str(highest), 3) if highest is not None else 3
        usable = [each for each in _VERSIONS[first : last + 1] if each in ("TLSv1.2", "TLSv1.3")]
        if usable:
            values.set("ssl_supported_protocols", usable)
        else:
            values.problem(
                "tls_max_version", "TLS 1.2 is the oldest version here; tls_max_version leaves none"
            )


def _codec_steps(values: Values) -> list[Step]:
    """Gives the filters that do what the codec does with a Beat's `message`, and add what was asked for."""
    steps: list[Step] = []
    situation = values.situation
    use = values.codec
    if use is not None and use.name in ("json", "json_lines"):
        steps.append(
            when_step(
                "[message]",
                filter_step("mutate", rename={"message": _SCRATCH}),
                filter_step("json", source=_SCRATCH),
                when_step(
                    '"_jsonparsefailure" in [tags]', filter_step("mutate", rename={_SCRATCH: "message"})
                ),
                filter_step("mutate", remove_field=[_SCRATCH]),
            )
        )
    elif situation.names("beats_input_codec_plain_applied"):
        steps.append(
            when_step("[message]", filter_step("mutate", add_tag=["beats_input_codec_plain_applied"]))
        )
    steps += ornaments(values, original=situation.ecs)
    return steps


def _declared(name: str) -> PluginDeclaration:
    return PluginDeclaration(
        section="input",
        name=name,
        plugin="beats",
        options=_OPTIONS,
        make=_make,
        codecs=("plain", "json", "json_lines"),
        about="Lumberjack 1 and 2, from Beats, Elastic Agent and Logstash.",
    )


BEATS, ELASTIC_AGENT = _declared("beats"), _declared("elastic_agent")

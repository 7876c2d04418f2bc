"""The filter `syslog_pri` takes a syslog priority apart into facility and severity."""

from penstock.transforms.logstash.base import ECS, Filter, Option, Work
from penstock.transforms.logstash.filters.patterns._expand import to_integer
from penstock.transforms.logstash.values._ruby import ruby_text
from penstock.transforms.logstash.values.event import MISSING, LogEvent

__all__ = ["SyslogPri"]

_FACILITIES = (
    "kernel", "user-level", "mail", "daemon", "security/authorization", "syslogd", "line printer", "network news",
    "uucp", "clock", "security/authorization", "ftp", "ntp", "log audit", "log alert", "clock", "local0", "local1",
    "local2", "local3", "local4", "local5", "local6", "local7",
)  # fmt: skip
_SEVERITIES = ("emergency", "alert", "critical", "error", "warning", "notice", "informational", "debug")
_USER_NOTICE = 13


class SyslogPri(Filter):
    """Takes a syslog priority apart into facility and severity; 13 (user, notice) where there is none."""

    name = "syslog_pri"
    options = (
        Option("use_labels", "boolean", True, doc="whether names are set beside the numbers"),
        Option(
            "syslog_pri_field_name",
            "string",
            doc="the field with the priority; by default ECS's, or syslog_pri",
        ),
        Option("facility_labels", "array", list(_FACILITIES), doc="the names of the facilities"),
        Option("severity_labels", "array", list(_SEVERITIES), doc="the names of the severities"),
        ECS,
    )

    def compile(self) -> Work:
        """Resolves the fields once."""
        ecs = self.ecs
        source = self.reference(
            self["syslog_pri_field_name"] or ("[log][syslog][priority]" if ecs else "syslog_pri")
        )
        form = "[log][syslog][{}][{}]" if ecs else "syslog_{}{}"
        facility_code, facility_name, severity_code, severity_name = (
            self.reference(form.format(what, part if ecs else "_code" if part == "code" else ""))
            for what in ("facility", "severity")
            for part in ("code", "name")
        )
        labels, facilities, severities = self["use_labels"], self["facility_labels"], self["severity_labels"]

        def work(event: LogEvent) -> bool:
            value = source.get(event)
            if type(value) is list:
                value = value[0] if value and value[0] is not None else 0
            if value is MISSING or value is None or value is False:
                priority = _USER_NOTICE
            elif type(value) is int:
                priority = value
            elif type(value) is str or type(value) is float:
                priority = to_integer(ruby_text(value))
            else:
                message = f"syslog_pri: {source.text} holds a {type(value).__name__}, which is no number"
                raise TypeError(message)
            facility, severity = priority >> 3, priority & 7
            facility_code.set(event, facility)
            severity_code.set(event, severity)
            if not labels:
                return True
            if not -len(facilities) <= facility < len(facilities):
                event.tag("_syslogpriparsefailure")
                return True
            facility_name.set(event, facilities[facility])
            if severity < len(severities):
                severity_name.set(event, severities[severity])
            return True

        return work

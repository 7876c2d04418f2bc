"""`_aws_formats` declares the lines of AWS services: their fields, in order, with types. Pure.

One declaration per format; `_separated` reads them all. Names are the documented ones. A format's new fields come at its
end, so a line of an older or newer version is read by the same declaration.
"""

from penstock.transforms.codecs.lines._separated import LineFormat

__all__ = ["FORMATS"]


def _fields(text: str) -> tuple[tuple[str, str], ...]:
    """Reads `name name=kind` into pairs. The kind is behind `=`, because documented names hold colons (`client:port`)."""
    pairs = []
    for word in text.split():
        name, _, kind = word.partition("=")
        pairs.append((name, kind or "text"))
    return tuple(pairs)


FORMATS: dict[str, LineFormat] = {
    form.name: form
    for form in (
        LineFormat(
            "vpcflow",
            _fields(
                # version 2, the default
                "version=int account-id interface-id srcaddr=ip dstaddr=ip srcport=int dstport=int protocol=int "
                "packets=int bytes=int start=int end=int action log-status "
                # 3
                "vpc-id subnet-id instance-id tcp-flags=int type pkt-srcaddr=ip pkt-dstaddr=ip "
                # 4 and 5
                "region az-id sublocation-type sublocation-id pkt-src-aws-service pkt-dst-aws-service flow-direction "
                "traffic-path=int "
                # 7 and 8
                "ecs-cluster-arn ecs-cluster-name ecs-container-instance-arn ecs-container-instance-id ecs-container-id "
                "ecs-second-container-id ecs-service-name ecs-task-definition-arn ecs-task-arn ecs-task-id reject-reason"
            ),
            "space",
            ("epoch", "start"),
            "https://docs.aws.amazon.com/vpc/latest/userguide/flow-log-records.html",
            header="first",
            required=14,
        ),
        LineFormat(
            "alb",
            _fields(
                "type time elb client:port=endpoint target:port=endpoint request_processing_time=float "
                "target_processing_time=float response_processing_time=float elb_status_code=int target_status_code=int "
                "received_bytes=int sent_bytes=int request=request user_agent ssl_cipher ssl_protocol target_group_arn "
                "trace_id domain_name chosen_cert_arn matched_rule_priority=int request_creation_time "
                "actions_executed=list redirect_url error_reason target:port_list target_status_code_list classification "
                "classification_reason conn_trace_id transformed_host transformed_uri request_transform_status"
            ),
            "quoted",
            ("iso", "time"),
            "https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html",
            required=17,
        ),
        LineFormat(
            "nlb",
            _fields(
                "type version time elb listener client:port=endpoint destination:port=endpoint connection_time=int "
                "tls_handshake_time=int received_bytes=int sent_bytes=int incoming_tls_alert chosen_cert_arn "
                "chosen_cert_serial tls_cipher tls_protocol_version tls_named_group domain_name alpn_fe_protocol "
                "alpn_be_protocol alpn_client_preference_list tls_connection_creation_time"
            ),
            "quoted",
            ("iso", "time"),
            "https://docs.aws.amazon.com/elasticloadbalancing/latest/network/load-balancer-access-logs.html",
            required=11,
        ),
        LineFormat(
            "elb",
            _fields(
                "time elb client:port=endpoint backend:port=endpoint request_processing_time=float "
                "backend_processing_time=float response_processing_time=float elb_status_code=int "
                "backend_status_code=int received_bytes=int sent_bytes=int request=request user_agent ssl_cipher "
                "ssl_protocol"
            ),
            "quoted",
            ("iso", "time"),
            "https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/access-log-collection.html",
            required=12,
        ),
        LineFormat(
            "cloudfront",
            _fields(
                "date time x-edge-location sc-bytes=int c-ip=ip cs-method cs(Host) cs-uri-stem sc-status=int "
                "cs(Referer)=unquoted cs(User-Agent)=unquoted cs-uri-query cs(Cookie)=unquoted x-edge-result-type "
                "x-edge-request-id x-host-header cs-protocol cs-bytes=int time-taken=float x-forwarded-for "
                "ssl-protocol ssl-cipher x-edge-response-result-type cs-protocol-version fle-status "
                "fle-encrypted-fields=int c-port=int time-to-first-byte=float x-edge-detailed-result-type "
                "sc-content-type=unquoted sc-content-len=int sc-range-start=int sc-range-end=int"
            ),
            "tab",
            ("date and time", "date", "time"),
            "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/standard-logs-reference.html",
            header="directive",
            required=10,
        ),
        LineFormat(
            "cloudfront_realtime",
            _fields(
                "timestamp=float c-ip=ip time-to-first-byte=float sc-status=int sc-bytes=int cs-method cs-protocol "
                "cs-host cs-uri-stem cs-bytes=int x-edge-location x-edge-request-id x-host-header time-taken=float "
                "cs-protocol-version c-ip-version cs-user-agent=unquoted cs-referer=unquoted cs-cookie=unquoted "
                "cs-uri-query x-edge-response-result-type x-forwarded-for ssl-protocol ssl-cipher x-edge-result-type "
                "fle-encrypted-fields fle-status sc-content-type=unquoted sc-content-len=int sc-range-start=int "
                "sc-range-end=int c-port=int x-edge-detailed-result-type c-country cs-accept-encoding=unquoted "
                "cs-accept=unquoted cache-behavior-path-pattern cs-headers=unquoted cs-header-names=unquoted "
                "cs-headers-count=int primary-distribution-id primary-distribution-dns-name origin-fbl=float "
                "origin-lbl=float asn=int"
            ),
            "tab",
            ("epoch", "timestamp"),
            "https://docs.aws.amazon.com/AmazonCloudFront/latest/DeveloperGuide/real-time-logs.html",
            required=2,
        ),
        LineFormat(
            "s3access",
            _fields(
                "bucket_owner bucket time=time remote_ip=ip requester request_id operation key=unquoted request_uri=request "
                "http_status=int error_code bytes_sent=int object_size=int total_time=int turn_around_time=int referer "
                "user_agent version_id host_id signature_version cipher_suite authentication_type host_header tls_version "
                "access_point_arn acl_required source_region"
            ),
            "quoted",
            ("bracket", "time"),
            "https://docs.aws.amazon.com/AmazonS3/latest/userguide/LogFormat.html",
            required=15,
        ),
    )
}
"""Codec name -> declaration."""

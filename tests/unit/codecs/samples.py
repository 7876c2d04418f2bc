"""Records as AWS services write them; README.md tells where each comes from."""

import orjson

VPC = b"2 123456789010 eni-1235b8ca123456789 172.31.16.139 172.31.16.21 20641 22 6 20 4249 1418530010 1418530070 ACCEPT OK"
VPC_NODATA = b"2 123456789010 eni-1235b8ca123456789 - - - - - - - 1431280876 1431280934 - NODATA"
VPC_IPV6 = (
    b"2 123456789010 eni-1235b8ca123456789 2001:db8:1234:a100:8d6e:3477:df66:f105 "
    b"2001:db8:1234:a102:3304:8879:34cf:4071 34892 22 6 54 8855 1477913708 1477913820 ACCEPT OK"
)
VPC_CUSTOM = (
    b"version vpc-id subnet-id instance-id interface-id account-id type srcaddr dstaddr srcport dstport pkt-srcaddr "
    b"pkt-dstaddr protocol bytes packets start end action tcp-flags log-status\n"
    b"3 vpc-abcdefab012345678 subnet-aaaaaaaa012345678 i-01234567890123456 eni-1235b8ca123456789 123456789010 IPv4 "
    b"52.213.180.42 10.0.0.62 43416 5001 52.213.180.42 10.0.0.62 6 568 8 1566848875 1566848933 ACCEPT 2 OK\n"
)
ALB = (
    b"h2 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 10.0.1.252:48160 10.0.0.66:9000 0.000 0.002 "
    b'0.000 200 200 5 257 "GET https://10.0.2.105:773/ HTTP/2.0" "curl/7.46.0" ECDHE-RSA-AES128-GCM-SHA256 TLSv1.2 '
    b"arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067 "
    b'"Root=1-58337327-72bd00b0343d75b906739c42" "-" "-" 1 2018-07-02T22:22:48.364000Z "redirect" '
    b'"https://example.com:80/" "-" "10.0.0.66:9000" "200" "-" "-" TID_1234abcd5678ef90 "-" "-" "-" "brand-new"'
)
ALB_UNREACHABLE = (
    b"http 2018-07-02T22:23:00.186641Z app/my-loadbalancer/50dc6c495c0c9188 [2001:db8::1]:2817 - -1 -1 -1 502 - 34 366 "
    b'"GET http://www.example.com:80/ HTTP/1.1" "an "odd"er agent" - - '
    b"arn:aws:elasticloadbalancing:us-east-2:123456789012:targetgroup/my-targets/73e2d6bc24d8a067"
)
NLB = (
    b"tls 2.0 2018-12-20T02:59:40 net/my-network-loadbalancer/c6e77e28c25b2234 g3d4b5e8bb8464cd 72.21.218.154:51341 "
    b"172.100.100.185:443 5 2 98 246 - arn:aws:acm:us-east-2:671290407336:certificate/2a108f19 - "
    b"ECDHE-RSA-AES128-SHA tlsv12 - my-network-loadbalancer-c6e77e28c25b2234.elb.us-east-2.amazonaws.com - - - "
    b"2018-12-20T02:59:30"
)
ELB = (
    b"2015-05-13T23:39:43.945958Z my-loadbalancer 192.168.131.39:2817 10.0.0.1:80 0.000073 0.001048 0.000057 200 200 0 29 "
    b'"GET http://www.example.com:80/ HTTP/1.1" "curl/7.38.0" - -'
)
CLOUDFRONT = (
    b"#Version: 1.0\n"
    b"#Fields: date time x-edge-location sc-bytes c-ip cs-method cs(Host) cs-uri-stem sc-status cs(Referer) "
    b"cs(User-Agent) cs-uri-query cs(Cookie) x-edge-result-type\n"
    b"2019-12-04\t21:02:31\tLAX1\t392\t192.0.2.100\tGET\td111111abcdef8.cloudfront.net\t/index.html\t200\t-\t"
    b"Mozilla/5.0%20(Windows%20NT%2010.0)\t-\t-\tHit\n"
)
REALTIME = b"1599243242.112\t2001:db8::7\t0.002\t200\t1045\tGET\thttps"
S3_ACCESS = (
    b"79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be amzn-s3-demo-bucket1 [06/Feb/2019:00:00:38 +0000] "
    b"192.0.2.3 79a59df900b949e55d96a1e698fbacedfd6e09d98eacf8f8d5218e7cd47ef2be 3E57427F3EXAMPLE REST.GET.OBJECT "
    b'my%2520key "GET /amzn-s3-demo-bucket1/my%2520key HTTP/1.1" 200 - 113 - 7 - "-" "S3Console/0.4" - '
    b"s9lzHYrFp76ZVxRcpX9+5cjAnEH2ROuNkd2BHfIa6UkFVdtjf5mKR3/eTPFvsiP/XV/VLi31234= SigV4 ECDHE-RSA-AES128-GCM-SHA256 "
    b"AuthHeader amzn-s3-demo-bucket1.s3.us-west-1.amazonaws.com TLSV1.2 - Yes"
)

EVENT = "3195310660696698337880902507980421114328961542429EXAMPLE"


def subscription(*messages: str, kind: str = "DATA_MESSAGE", stream: str = "i-0a/1") -> bytes:
    """A record of CloudWatch Logs, as its documentation shows it (not compressed)."""
    return orjson.dumps(
        {
            "messageType": kind,
            "owner": "123456789012",
            "logGroup": "/aws/lambda/orders",
            "logStream": stream,
            "subscriptionFilters": ["all"],
            "logEvents": [
                {
                    "id": f"3195310660696698337880902507980421114328961542429EXAMPLE{n}",
                    "timestamp": 1432826855000 + n,
                    "message": m,
                }
                for n, m in enumerate(messages)
            ],
        }
    )

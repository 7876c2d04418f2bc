"""What the Kinesis write needs before the pipeline runs: one clear line for what is missing.

Runners report a failing sink late and at length; so the job asks first.
"""

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws import AwsOptions, AwsSession, explain
from penstock.io.errors import NotFound, PeerError
from penstock.io.kinesis.calls import stream_argument, stream_arn
from penstock.io.kinesis.shard_map import list_shards
from penstock.io.kinesis.stream_names import StreamName
from penstock.io.kinesis.write_options import KinesisWriteOptions

__all__ = ["check_write"]

_USABLE = ("ACTIVE", "UPDATING")


def check_write(options: KinesisWriteOptions, aws: AwsOptions) -> None:
    """Finds credentials, reaches the endpoint, and sees that the stream is there and takes records.

    A stream name that events fill in can only be checked for credentials.

    Raises:
        OptionError: an option names what can't be (a profile, a region, an address).
        AccessDenied: no credentials, or they lack kinesis:DescribeStreamSummary or kinesis:ListShards.
        NotFound: there is no such stream.
        Unreachable: nobody answers at the endpoint.
        PeerError: the stream is being created or deleted.
    """
    session = AwsSession(aws)
    session.credentials()
    stream = StreamName(options.stream_name).literal
    if stream is None:
        return
    what = stream if stream.startswith("arn:") else f"stream {stream}"
    doing = f"write to {what}"
    try:
        reply = session.client("kinesis").describe_stream_summary(**stream_argument(stream))
    except (BotoCoreError, ClientError) as error:
        resource = stream_arn(stream, aws.region)
        missing = (
            isinstance(error, ClientError) and error.response["Error"]["Code"] == "ResourceNotFoundException"
        )
        if missing:
            message = (
                f"cannot {doing}: there is no such stream in {aws.region}"
                f"{f' at {aws.endpoint_url}' if aws.endpoint_url else ''}. Check --stream_name and --region, or create it."
            )
            raise NotFound(message) from error
        raise explain(error, session, "DescribeStreamSummary", resource, doing) from error
    status = reply["StreamDescriptionSummary"]["StreamStatus"]
    if status not in _USABLE:
        message = f"cannot {doing}: it is {status}, not ACTIVE. Wait until it is, and start again."
        raise PeerError(message)
    list_shards(session, stream)

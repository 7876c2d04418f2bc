"""`collection_trial` asks Serverless of which type a collection is: only search collections take ids.

The data plane does not tell it, so this is a call of the control plane (`aoss:BatchGetCollection`). A job does without
the permission: then the first bulk shows what the collection refuses.

Source: https://docs.aws.amazon.com/opensearch-service/latest/ServerlessAPIReference/API_BatchGetCollection.html
"""

from typing import Any

from botocore.exceptions import BotoCoreError, ClientError

from penstock.io.aws.sense import promised
from penstock.io.aws.session import AwsSession
from penstock.io.elasticsearch.options import ElasticsearchOptions
from penstock.io.errors import PeerError
from penstock.io.preflight.trials import Finding, Trial, fine, not_tried, warning

__all__ = ["collection_trial"]

_DOUBLES = "a replay stores its documents a second time"


def collection_trial(options: ElasticsearchOptions) -> Trial:
    """Gives the trial (quick) of whether the collection takes the ids that the options ask for."""
    return Trial("OpenSearch Serverless collection", lambda: _tried(options), quick=True)


def _tried(options: ElasticsearchOptions) -> Finding:
    place = options.amazon
    if place is None:
        return not_tried("its id is not known: the address is not Amazon's")
    try:
        session = AwsSession(options.signing)
        with promised():
            reply = session.client("opensearchserverless", retries=False).batch_get_collection(
                ids=[place.name]
            )
    except ClientError as error:
        code = error.response.get("Error", {}).get("Code")
        return not_tried(f"{code}: needs aoss:BatchGetCollection, which the job itself does without")
    except BotoCoreError as error:
        return not_tried(f"AWS does not say which type it has ({type(error).__name__})")
    found: list[dict[str, Any]] = reply.get("collectionDetails") or []
    if not found:
        return not_tried(f"{place.name} is none of this account's collections in {place.region}")
    name, kind = found[0].get("name"), str(found[0].get("type"))
    if kind == "SEARCH":
        if options.document_id == "none":
            return warning(
                f"{name} is a search collection, and takes ids. With --document_id none, {_DOUBLES}"
            )
        return fine(f"{name} is a search collection: a replay stores nothing twice")
    if options.document_id == "none":
        return warning(f"{name} is a collection of type {kind}, which takes no ids: {_DOUBLES}")
    message = (
        f"{name} is a collection of type {kind}, which takes no ids. Use a search collection, or give --document_id none: "
        f"then {_DOUBLES}."
    )
    raise PeerError(message)

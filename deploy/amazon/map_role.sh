#!/usr/bin/env bash
# Gives a job's IAM role what the job needs behind a domain's fine-grained access control: a role of the security plugin with
# the least permissions for the job's options, and its mapping. Run it with the AWS credentials of the domain's master user.
#
# usage: map_role.sh ENDPOINT JOB_ROLE_ARN JOB [OPTIONS OF THE JOB]
set -euo pipefail
[ $# -ge 3 ] || { sed -n '2,/^[^#]/s/^# \{0,1\}//p' "$0" >&2; exit 2; }
url=$1 job_role=$2 job=$3
shift 3
case $url in http*) ;; *) url=https://$url ;; esac
region=${AWS_REGION:-${AWS_DEFAULT_REGION:-}}
region=${region:?set AWS_REGION to that of the domain}
[ -n "${AWS_ACCESS_KEY_ID:-}" ] || eval "$(aws configure export-credentials --format env)"

put() { # NAME, with the document on stdin. Keys come by a pipe: a command line is for everybody on this machine to read.
  curl --fail-with-body --silent --show-error --aws-sigv4 "aws:amz:$region:es" --request PUT --data-binary @- \
    --header 'content-type: application/json' "$url/_plugins/_security/api/$1/penstock" \
    --config <(printf 'user = "%s:%s"\n' "$AWS_ACCESS_KEY_ID" "$AWS_SECRET_ACCESS_KEY"
      [ -z "${AWS_SESSION_TOKEN:-}" ] || printf 'header = "x-amz-security-token: %s"\n' "$AWS_SESSION_TOKEN")
  echo
}

role=$(penstock check "$job" "$@" --hosts "$url" --opensearch_role)
put roles <<<"$role"
put rolesmapping <<<"{\"backend_roles\": [\"$job_role\"]}"

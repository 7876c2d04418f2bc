"""`io/preflight` tries what a job needs before it starts, and holds the IAM statements for it.

- `trials`: one thing to try, its name, and its cure.    - `iam`: statements and policies.
- `certificate_files`: loads certificates and keys, and names the file that is wrong.
- `side_by_side`: does several works at a time, and gives their results in order.
"""

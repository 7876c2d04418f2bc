"""What is tried before a job starts, and the IAM statements that it needs.

- `trials`: one thing to try, its name, and its cure.    - `iam`: statements and policies.
"""

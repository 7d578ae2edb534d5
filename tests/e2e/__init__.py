"""The whole system from outside: child processes, plain boto3, plain HTTP."""

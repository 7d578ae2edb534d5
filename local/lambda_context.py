"""The context object that Lambda passes to a handler beside the event."""

from __future__ import annotations

import time
import uuid
from dataclasses import dataclass, field

ACCOUNT = "000000000000"


@dataclass
class LambdaContext:
    """One invocation's context, with the fields that handlers and Powertools read."""

    function_name: str
    invoked_function_arn: str
    memory_limit_in_mb: int = 512
    timeout_s: float = 300.0
    function_version: str = "$LATEST"
    aws_request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    log_stream_name: str = "local"
    identity: None = None
    client_context: None = None
    _started: float = field(default_factory=time.monotonic)

    @property
    def log_group_name(self) -> str:
        return f"/aws/lambda/{self.function_name}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until Lambda would end the invocation; the local system never does."""
        return max(0, int(1000 * (self.timeout_s - (time.monotonic() - self._started))))


def function_arn(function_name: str, region: str) -> str:
    return f"arn:aws:lambda:{region}:{ACCOUNT}:function:{function_name}"

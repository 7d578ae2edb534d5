"""The pump of a queue: the thread that stands in for Lambda's polling of SQS.

The queue itself does the rest as in AWS: what is not deleted becomes visible again after its visibility timeout, and
after so many receives goes to the dead letter queue.
"""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from local.lambda_events import JsonObject, queue_message
from local.pumps import AFTER_ERROR_S, Function, Pump

if TYPE_CHECKING:
    from mypy_boto3_sqs import SQSClient
    from mypy_boto3_sqs.type_defs import MessageTypeDef

logger = logging.getLogger(__name__)

RECEIVE_WAITS_S = 1


class QueuePump(Pump):
    """An event source mapping: a queue's messages into a function, which may name those that it could not do.

    Parameters
    ----------
    batch_size
        Messages of a call at most.
    """

    def __init__(self, sqs: SQSClient, queue_url: str, queue_arn: str, function: Function, batch_size: int) -> None:
        super().__init__(function.name)
        self.delivered = 0
        self.failed = 0
        self._sqs = sqs
        self._queue_url = queue_url
        self._queue_arn = queue_arn
        self._function = function
        self._batch_size = batch_size

    def _run(self) -> None:
        while not self.stopping.is_set():
            try:
                self._round()
            except Exception:
                # A pump that ended would hold up its queue in silence.
                logger.exception("%s cannot read its queue", self.name)
                self.stopping.wait(AFTER_ERROR_S)

    def _round(self) -> None:
        messages = self._sqs.receive_message(
            QueueUrl=self._queue_url,
            MaxNumberOfMessages=self._batch_size,
            WaitTimeSeconds=RECEIVE_WAITS_S,
            MessageSystemAttributeNames=["All"],
        ).get("Messages", [])
        if not messages:
            return
        failed = self._failed(messages)
        for message in messages:
            if message["MessageId"] in failed:
                self.failed += 1
            else:
                self._sqs.delete_message(QueueUrl=self._queue_url, ReceiptHandle=message["ReceiptHandle"])
                self.delivered += 1

    def _failed(self, messages: list[MessageTypeDef]) -> set[str]:
        """Ids of the messages that must come again: all of them if the function raises."""
        event: JsonObject = {"Records": [queue_message(one, self._queue_arn) for one in messages]}
        try:
            answer = self._function(event)
        except Exception:
            logger.exception("%s failed", self.name)
            return {message["MessageId"] for message in messages}
        named = answer.get("batchItemFailures", []) if isinstance(answer, dict) else []
        return {one["itemIdentifier"] for one in named}

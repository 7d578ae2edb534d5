"""The application's functions and routes, registered. What they do stands in ``chalicelib``."""

import os
from typing import Any

from chalice.app import Chalice, CloudWatchEvent, ConvertToMiddleware, DynamoDBEvent, KinesisEvent, Rate, SQSEvent

from chalicelib import functions, wiring
from chalicelib.observability import logger, metrics

API = "app.app"
"""The handler of the function that serves the REST API."""

app = Chalice(app_name="journey-attribution", configure_logs=False)
app.register_middleware(ConvertToMiddleware(logger.inject_lambda_context(clear_state=True)))
# Not for requests to the API, which tell their metrics each by itself: flushing no metrics warns each time.
for event_type in ("kinesis", "dynamodb", "scheduled", "sqs", "pure_lambda"):
    app.register_middleware(ConvertToMiddleware(metrics.log_metrics(capture_cold_start_metric=True)), event_type)
# Lambda names the handler it runs. One that serves no requests starts without what only they need.
if os.environ.get("_HANDLER", API) == API:
    from chalicelib.api.access import guard
    from chalicelib.api.problems import envelope
    from chalicelib.api.routes import routes
    from chalicelib.api.watching import watch

    app.register_middleware(watch, "http")
    app.register_middleware(envelope, "http")
    app.register_blueprint(guard)
    app.register_blueprint(routes)
wiring.prepare()


@app.on_kinesis_record(
    stream=os.environ.get("EVENT_STREAM", "pinpoint-events"),
    batch_size=1000,
    starting_position="TRIM_HORIZON",
    maximum_batching_window_in_seconds=1,
)
def ingest_events(event: KinesisEvent) -> dict[str, Any]:
    return functions.ingest(event.to_dict())


@app.lambda_function()
def tag_users(event: dict[str, Any], context: Any) -> dict[str, Any]:
    return functions.tag(event, context.aws_request_id)


@app.on_dynamodb_record(
    stream_arn=os.environ.get("FACTS_STREAM_ARN", "facts"), batch_size=1000, starting_position="TRIM_HORIZON"
)
def project_facts(event: DynamoDBEvent) -> dict[str, Any]:
    return functions.project(event.to_dict())


@app.on_dynamodb_record(
    stream_arn=os.environ.get("VIEWS_STREAM_ARN", "views"), batch_size=100, starting_position="TRIM_HORIZON"
)
def sync_campaigns(event: DynamoDBEvent) -> dict[str, Any]:
    # Chalice types the context as a dictionary; it is Lambda's object.
    context: Any = event.context
    return functions.sync(event.to_dict(), context.get_remaining_time_in_millis)


@app.on_sqs_message(
    queue_arn=os.environ.get("JOBS_QUEUE_ARN", "arn:aws:sqs:us-east-1:000000000000:jobs"),
    batch_size=1,
    maximum_concurrency=5,
)
def run_jobs(event: SQSEvent) -> dict[str, Any]:
    context: Any = event.context
    return functions.run_jobs(event.to_dict(), context.get_remaining_time_in_millis)


@app.schedule(Rate(1, unit=Rate.MINUTES), description="Close attribution windows whose end has come")
def expire_campaigns(event: CloudWatchEvent) -> dict[str, int]:
    return functions.expire()

-- What the rules say of a raw stream, as DuckDB works it out: no code of the application has a part in it.
-- Variables: file (newline-delimited JSON), half_life (days).
-- Expects the table names(journey, name).

CREATE OR REPLACE TABLE raw AS SELECT DISTINCT json AS j FROM read_ndjson_objects(getvariable('file'));

CREATE OR REPLACE TABLE sends AS
SELECT j->>'$.client.client_id' AS endpoint, j->>'$.attributes.journey_id' AS journey,
       (j->>'$.event_timestamp')::BIGINT AS time,
       (j->>'$.client_context.custom.endpoint')::JSON AS e
FROM raw WHERE j->>'$.event_type' = '_journey.send';

-- R6. A UserId leads to its customer's name, if a name is known; an endpoint to the name, else to the UserId.
CREATE OR REPLACE TABLE owners AS
SELECT 'p ' || endpoint AS alias,
       max(coalesce('n ' || (e->>'$.User.UserAttributes.username[0]'), 'u ' || (e->>'$.User.UserId'))) AS owner
FROM sends GROUP BY 1
UNION ALL
SELECT 'u ' || (e->>'$.User.UserId'), max('n ' || (e->>'$.User.UserAttributes.username[0]'))
FROM sends WHERE e->>'$.User.UserAttributes.username[0]' IS NOT NULL GROUP BY 1;

-- R4, R8, R9.
CREATE OR REPLACE TABLE touches AS
SELECT coalesce(owner, alias) AS person, time, strength, journey, kind FROM (
    SELECT 'p ' || (j->>'$.client.client_id') AS alias, j->>'$.attributes.journey_id' AS journey,
           CASE j->>'$.event_type' WHEN '_email.click' THEN 'email.click' WHEN '_email.open' THEN 'email.open'
                ELSE 'push.opened_notification' END AS kind,
           CASE WHEN j->>'$.event_type' = '_email.click' THEN 3 ELSE 2 END AS strength,
           (CASE WHEN j->>'$.event_type' LIKE '_email.%' THEN j->>'$.arrival_timestamp'
                 ELSE j->>'$.event_timestamp' END)::BIGINT AS time
    FROM raw WHERE j->>'$.event_type' IN ('_email.click', '_email.open', '_journey.opened_notification')
) LEFT JOIN owners USING (alias);

-- R10, R12.
CREATE OR REPLACE TABLE events AS
SELECT row_number() OVER () AS id, coalesce(owner, alias) AS person, * EXCLUDE (owner, alias) FROM (
    SELECT coalesce('n ' || (j->>'$.endpoint.User.UserAttributes.username[0]'), 'u ' || (j->>'$.endpoint.User.UserId'),
                    'p ' || (j->>'$.client.client_id')) AS alias,
           j->>'$.event_type' AS type, (j->>'$.event_timestamp')::BIGINT AS time,
           j->>'$.attributes.campaign' AS stamp,
           CASE WHEN j->>'$.metrics.price' IS NOT NULL
                THEN upper(coalesce(j->>'$.attributes.currency', 'USD')) ELSE '' END AS currency,
           (j->>'$.metrics.price')::DECIMAL(18, 2)
               * CASE WHEN j->>'$.event_type' = 'refund' THEN -1 ELSE 1 END AS value
    FROM raw WHERE NOT starts_with(j->>'$.event_type', '_')
) LEFT JOIN owners USING (alias);

-- R1, R2: all touches at or before an event, the newest first; the newest decides, if its seven days cover the event.
CREATE OR REPLACE TABLE paths AS
SELECT e.id, t.journey, t.time AS touched, e.time - t.time < 7 * 86400000 AS covers, e.time - t.time AS delay,
       row_number() OVER (PARTITION BY e.id ORDER BY t.time DESC, t.strength DESC, t.journey DESC, t.kind DESC) AS back
FROM events e JOIN touches t ON t.person = e.person AND t.time <= e.time;

-- R11: without any touch before it, an event's stamp decides.
CREATE OR REPLACE TABLE credits AS
SELECT e.*, CASE WHEN p.id IS NULL THEN s.journey WHEN p.covers THEN p.journey END AS journey,
       p.id IS NULL AND s.journey IS NOT NULL AS stamped, p.touched, p.delay,
       strftime(make_timestamp(e.time * 1000), '%Y-%m-%d') AS day,
       strftime(make_timestamp(coalesce(p.touched, e.time) * 1000), '%Y-%m-%d') AS touch_day
FROM events e
LEFT JOIN paths p ON p.id = e.id AND p.back = 1
LEFT JOIN (SELECT name, max(journey) AS journey FROM names GROUP BY name) s ON s.name = e.stamp;

-- Attribution models: the path are the touches that still cover the event, the oldest is the first.
CREATE OR REPLACE TABLE weights AS
WITH path AS (
    SELECT p.id, p.journey, count(*) OVER w AS n, n - row_number() OVER (PARTITION BY p.id ORDER BY p.back) + 1 AS k,
           pow(0.5, p.delay / (getvariable('half_life') * 86400000.0)) AS decay
    FROM paths p JOIN credits c ON c.id = p.id AND c.journey IS NOT NULL
    WHERE p.covers WINDOW w AS (PARTITION BY p.id)
)
SELECT id, journey, (k = n)::INT::DOUBLE AS last_touch, (k = 1)::INT::DOUBLE AS first_touch, 1.0 / n AS linear,
       CASE WHEN n = 1 THEN 1.0 WHEN n = 2 THEN 0.5 WHEN k IN (1, n) THEN 0.4 ELSE 0.2 / (n - 2) END AS position_based,
       decay / sum(decay) OVER (PARTITION BY id) AS time_decay
FROM path
UNION ALL SELECT id, journey, 1, 1, 1, 1, 1 FROM credits WHERE stamped;

"""In the child process: what MiniStack acknowledged is on disk before the answer is sent.

MiniStack saves its state when it stops, and nothing before. Here each request that changes a table or a stream is a
line of a journal (its change records, or the stream's records, as they stand in memory), written before the answer.
What else changes (users, queues, functions) is small and is saved whole, about a second after it changed. So an end of
any kind loses nothing of tables and streams, and a few seconds of the rest; only a power cut loses what the operating
system had not written yet.

``STATE_DIR`` holds numbered folders. The newest has the state as of its making and the journal since then. Its making
ends with a rename, so that it is whole or not there. Without one, the files of MiniStack's own are read.

DynamoDB's change records are kept too (MiniStack forgets them when it ends): what was acknowledged and not projected
yet is projected after the next start. The parent has them forgotten once they are projected.
"""

import asyncio
import fcntl
import json
import os
import re
import shutil
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import msgspec
from ministack import app as ministack
from ministack.core import persistence
from ministack.core.responses import get_account_id, get_region
from ministack.services import dynamodb, kinesis

PATH = "/_journal/"
BEGIN, FORGET = PATH + "begin", PATH + "forget"
FOLDER = re.compile(r"\d{8}")
JOURNAL = "journal.ndjson"
SCOPE = re.compile(rb"Credential=[^/]+/\d+/[^/]+/([a-z0-9-]+)/")
JOURNALED = ("dynamodb", "kinesis")
JOURNALED_OPERATIONS = re.compile(
    r"(Get|Describe|List|Query|Scan|BatchGet|TransactGet|SubscribeToShard)\w*"
    r"|(Put|Update|Delete)Item|BatchWriteItem|TransactWriteItems|PutRecords?"
)
"""Operations of the journaled services that change nothing, or nothing but what the journal has."""
LARGEST_BYTES = 256 * 1024 * 1024
"""Of a journal: the state is saved anew when it is larger."""
SAVED_AFTER_S = 1.0
SHARE_OF_TIME = 0.05
"""That saving may take of the time, where a state is large."""


class Journal:
    """Saves and restores the state under a folder."""

    def __init__(self, root: Path) -> None:
        self._root = root
        self._folder = root
        """Where the newest state is; files of MiniStack's own (keys, code of functions) stand beside the folders."""
        self._file: int | None = None
        """None until the state that the journal goes on from is saved."""
        self._begins_at = 0
        self._waiting: list[Any] = []
        self._changed: set[str] = set()
        self._saved: dict[str, bytes] = {}
        self._save_is_due = False

    # --- from disk ---

    def restore(self, load: Callable[[], None]) -> None:
        """Load the newest state and apply its journal; then go on writing there."""
        self._folder = folder = max(self._folders(), default=self._root)
        ministack.load_state = self._load
        load()
        if folder == self._root:
            return
        content = (folder / JOURNAL).read_bytes()
        # An end in the middle of a line: its request was never answered.
        whole = content[: content.rfind(b"\n") + 1]
        apply: dict[str, Callable[..., None]] = {"change": apply_change, "record": apply_record, "kept": keep_change}
        for line in whole.splitlines():
            for kind, *effect in msgspec.json.decode(line):
                apply[kind](*effect)
        self._file = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND)
        os.ftruncate(self._file, len(whole))

    def _load(self, key: str) -> Any:
        persistence.STATE_DIR = str(self._folder)
        try:
            return persistence.load_state(key)
        finally:
            persistence.STATE_DIR = str(self._root)

    def _folders(self) -> list[Path]:
        return [one for one in self._root.iterdir() if FOLDER.fullmatch(one.name)]

    # --- to disk ---

    def note(self, kind: str, *effect: Any) -> None:
        """Have an effect of the request in hand written before its answer."""
        if self._file is not None:
            self._waiting.append((kind, *effect))

    def write(self) -> None:
        """Write the noted effects, as one line. Raises OSError; they are then written with the next ones."""
        if not self._waiting or self._file is None:
            return
        line = memoryview(msgspec.json.encode(self._waiting) + b"\n")
        end = os.fstat(self._file).st_size
        try:
            while line:
                line = line[os.write(self._file, line) :]
        except OSError:
            os.ftruncate(self._file, end)
            raise
        self._waiting.clear()
        if end > self._begins_at + LARGEST_BYTES:
            self.save()

    def save_if_begun(self) -> None:
        """Save where a journal goes on from a saved state already; before that nothing is."""
        if self._file is not None:
            self.save()

    def save(self) -> None:
        """Save the whole state in a new folder, and begin a new journal there."""
        former = self._folders()
        folder = self._root / f"{max((int(one.name) for one in former), default=0) + 1:08d}"
        unfinished = folder.with_suffix(".new")
        shutil.rmtree(unfinished, ignore_errors=True)
        unfinished.mkdir()
        self._saved.clear()
        for key, get_state in ministack._build_persistence_save_dict().items():
            state = get_state()
            if state is not None:
                self._put(unfinished, key, state)
        with (unfinished / JOURNAL).open("xb") as journal:
            for (account, region, table), records in dynamodb._stream_records.all_items():
                for record in records:
                    journal.write(msgspec.json.encode([("kept", account, region, table, record)]) + b"\n")
        unfinished.rename(folder)
        if self._file is not None:
            os.close(self._file)
        self._file = os.open(folder / JOURNAL, os.O_WRONLY | os.O_APPEND)
        self._begins_at = os.lseek(self._file, 0, os.SEEK_END)
        self._waiting.clear()
        self._changed.clear()
        self._folder = folder
        for one in former:
            shutil.rmtree(one, ignore_errors=True)

    def changed(self, service: str) -> None:
        """Have the state of a service, by its name in signatures, saved soon."""
        if self._file is None:
            return
        self._changed |= state_keys(service)
        if self._changed and not self._save_is_due:
            self._save_is_due = True
            asyncio.get_running_loop().call_later(SAVED_AFTER_S, self._save_changed)

    def _save_changed(self) -> None:
        began = time.monotonic()
        changed, self._changed = self._changed, set()
        states = ministack._build_persistence_save_dict()
        try:
            for key in changed & states.keys():
                self._put(self._folder, key, states[key]())
        except OSError:
            self._changed |= changed
            raise
        finally:
            # A large state is saved less often.
            wait = max(SAVED_AFTER_S, (time.monotonic() - began) / SHARE_OF_TIME)
            asyncio.get_running_loop().call_later(wait, self._save_again)

    def _save_again(self) -> None:
        self._save_is_due = bool(self._changed)
        if self._changed:
            self._save_changed()

    def _put(self, folder: Path, key: str, state: Any) -> None:
        wrapped = {"__ministack_format__": persistence._state_format_version(key), "payload": state}
        if key in JOURNALED:
            content = msgspec.json.encode(wrapped, enc_hook=persistence._json_default)
        else:
            # Only json gives MiniStack's encoder the bytes, which the state of a table or a stream has none of.
            content = json.dumps(wrapped, default=persistence._json_default).encode()
            if self._saved.get(key) == content:
                return
            self._saved[key] = content
        unfinished = folder / f"{key}.json.new"
        unfinished.write_bytes(content)
        unfinished.replace(folder / f"{key}.json")


def state_keys(service: str) -> set[str]:
    """The names of the states that requests to a service change; none for those that the journal has."""
    name = ministack.SERVICE_NAME_ALIASES.get(service, service)
    config = ministack.SERVICE_REGISTRY.get(name)
    if config is None or name in JOURNALED:
        return set()
    return {config.get("state_key", config["module"]), *config.get("sub_modules", ())}


def apply_change(account: str, region: str, name: str, record: Any) -> None:
    """Change a table as a change record says, and keep the record."""
    table = dynamodb._tables.get_scoped(account, region, name)
    if table is None:
        return
    change = record["dynamodb"]
    keys = [change["Keys"].get(table[one]) if table[one] else None for one in ("pk_name", "sk_name")]
    place = (dynamodb._extract_key_val(keys[0]), dynamodb._extract_key_val(keys[1]) if keys[1] else "__no_sort__")
    if record["eventName"] == "REMOVE":
        dynamodb._remove_item(table, *place)
    else:
        dynamodb._set_item(table, *place, change["NewImage"])
    keep_change(account, region, name, record)


def keep_change(account: str, region: str, name: str, record: Any) -> None:
    """Put a change record into the stream of its table."""
    records = dynamodb._stream_records.get_scoped(account, region, name)
    if records is None:
        dynamodb._stream_records.set_scoped(account, region, name, records := [])
    records.append(record)


def apply_record(account: str, region: str, stream: str, shard: str, record: Any) -> None:
    """Put a record into a stream, where it was."""
    found = kinesis._streams.get_scoped(account, region, stream)
    if found is not None and shard in found["shards"]:
        found["shards"][shard]["records"].append(record)


def install(root: Path) -> None:
    """Have MiniStack keep its state in a journal under ``root``; to be called before it starts."""
    root.mkdir(parents=True, exist_ok=True)
    # A child whose parent was killed may still be on its way out. The lock goes with the process.
    fcntl.flock(os.open(root, os.O_RDONLY), fcntl.LOCK_EX)
    journal = Journal(root)
    _note_changes(journal)
    _note_records(journal)
    load, serve = ministack._load_persisted_state, ministack.app

    async def app(scope: Any, receive: Any, send: Any) -> None:
        if scope["type"] != "http":
            await serve(scope, receive, send)
            return
        if scope["path"] in (BEGIN, FORGET):
            if scope["path"] == FORGET:
                dynamodb._stream_records.clear()
            journal.save()
            await send({"type": "http.response.start", "status": 204, "headers": []})
            await send({"type": "http.response.body", "body": b""})
            return

        service, operation = _asked(scope)

        async def send_written(message: Any) -> None:
            if message["type"] == "http.response.start":
                if service in JOURNALED and not JOURNALED_OPERATIONS.fullmatch(operation):
                    journal.save_if_begun()
                journal.write()
            await send(message)

        await serve(scope, receive, send_written)
        if scope["method"] not in ("GET", "HEAD"):
            journal.changed(service)

    ministack._load_persisted_state = lambda: journal.restore(load)
    ministack.save_all = lambda _: journal.save()
    ministack.app = app


def _note_changes(journal: Journal) -> None:
    emit = dynamodb._emit_stream_event

    def emit_and_note(table_name: str, *arguments: Any, **named: Any) -> None:
        before = dynamodb._stream_seq_counter
        emit(table_name, *arguments, **named)
        if dynamodb._stream_seq_counter > before:
            record = dynamodb._stream_records[table_name][-1]
            journal.note("change", get_account_id(), get_region(), table_name, record)

    dynamodb._emit_stream_event = emit_and_note


def _note_records(journal: Journal) -> None:
    def noting(put: Callable[[Any], Any]) -> Callable[[Any], Any]:
        def put_and_note(data: Any) -> Any:
            before = kinesis._next_sequence_number()
            answer = put(data)
            name, stream = kinesis._resolve_stream(data)
            for shard, found in (stream or {"shards": {}})["shards"].items():
                new = 0
                records = found["records"]
                while new < len(records) and records[-1 - new]["SequenceNumber"] > before:
                    new += 1
                for record in records[len(records) - new :]:
                    journal.note("record", get_account_id(), get_region(), name, shard, record)
            return answer

        return put_and_note

    kinesis._put_record = noting(kinesis._put_record)
    kinesis._put_records = noting(kinesis._put_records)


def _asked(scope: Any) -> tuple[str, str]:
    """The service that a request is signed for, and its operation; empty where the headers name none."""
    headers = {name.lower(): value for name, value in scope["headers"]}
    signed = SCOPE.search(headers.get(b"authorization", b""))
    operation = headers.get(b"x-amz-target", b"").decode("latin-1").rpartition(".")[2]
    return signed[1].decode() if signed else "", operation

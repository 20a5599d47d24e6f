"""The shipper process: reads the spool, produces to Kafka, remembers how far it got, deletes what is delivered."""

import logging
import sys
import threading
import time

from collector.child import Supervisor
from collector.config import Config
from collector.delivery import Delivery
from collector.kafka_sink import KafkaSink, Unreachable, describe, is_permanent
from collector.outage import Outage
from collector.schema.errors import OperatorError
from collector.spool.acked import load_acked, store_acked
from collector.spool.folder import replace
from collector.spool.reader import SpoolReader
from collector.spool.record import Flush, Message, decode_flush

log = logging.getLogger(__name__)

IDLE_S = 0.05
STORE_S = 0.25
STATUS_S = 0.5
RECONNECT_S = 1.0
WATCHDOG_S = 30.0
PROBE_S = 5.0
SET_ASIDE_MAX = 100
SET_ASIDE_FOLDER = "set-aside"


class Shipper:
    """One run of the shipper. Single-threaded: acks arrive through a queue."""

    def __init__(self, config: Config, supervisor: Supervisor) -> None:
        self._folder = config.agent.spool_dir
        self._supervisor = supervisor
        self._sink = KafkaSink(config.kafka)
        acked = load_acked(self._folder)
        self._reader = SpoolReader(self._folder, acked.seq)
        self._delivery = Delivery(acked, send=self._sink.send, is_permanent=is_permanent, set_aside=self._set_aside)
        self._stored = acked
        self._held: tuple[int, Flush] | None = None  # read, but no room in the window yet
        self._draining = threading.Event()
        self._gone = threading.Event()
        self._fresh = True
        self._restarts = 0
        self._reconnect_at = self._store_at = self._status_at = self._probe_at = 0.0
        self._answers = 0
        self._patience_s = WATCHDOG_S
        self._outage = Outage(config.kafka.bootstrap_servers)

    def run(self) -> int:
        """Ship until told to drain and everything is delivered. Returns the exit code."""
        self._supervisor.watch(on_drain=self._draining.set, on_gone=self._gone.set)
        log.info("event=shipper_start acked_seq=%d", self._delivery.acked.seq)
        delivered = False
        while not delivered and not self._gone.is_set():
            delivered = self._step(time.monotonic())
        self._store()
        self._report(delivered=delivered)
        self._sink.close()
        self._reader.close()
        return 0

    def _step(self, now_s: float) -> bool:
        """Do what is due. True when told to drain and nothing is left."""
        failure = self._delivery.collect()
        if failure is not None:
            self._start_again(describe(failure), now_s)
        if not self._sink.connected and now_s >= self._reconnect_at:
            self._connect(now_s)
        busy = self._sink.connected and self._send_some(now_s)
        self._watch(now_s)
        if now_s >= self._store_at:
            self._store_at = now_s + STORE_S
            self._store()
        if now_s >= self._status_at:
            self._status_at = now_s + STATUS_S
            self._report(delivered=False)
        if busy:
            return False
        if self._draining.is_set() and self._is_empty():
            return True
        time.sleep(IDLE_S if not self._delivery.in_flight else 0.005)
        return False

    def _send_some(self, now_s: float) -> bool:
        """Send what fits. True if there may be more to do at once."""
        for _ in range(50):
            if not self._delivery.has_room:
                return False
            record = self._next()
            if record is None:
                return False
            seq, flush = record
            if self._fresh:
                self._fresh = False
                self._delivery.account_deleted(seq, flush)
            try:
                self._delivery.put(seq, flush, now_s)
            except Unreachable as error:
                self._start_again(str(error), now_s)
                return False
        return True

    def _next(self) -> tuple[int, Flush] | None:
        if self._held is not None:
            held, self._held = self._held, None
            return held
        while (record := self._reader.read(final=self._draining.is_set())) is not None:
            try:
                return record.seq, decode_flush(record.payload)
            except ValueError:
                log.warning("event=spool_record_unreadable seq=%d", record.seq)
        return None

    def _is_empty(self) -> bool:
        if self._delivery.in_flight:
            return False
        self._held = self._held or self._next()
        return self._held is None

    def _connect(self, now_s: float) -> None:
        try:
            self._sink.connect()
        except Unreachable as error:
            self._tell(self._outage.refused(now_s, self._delivery.acked.seq, str(error)))
            self._reconnect_at = time.monotonic() + RECONNECT_S
        else:
            self._tell(self._outage.answered(time.monotonic()))
            self._probe_at = now_s

    def _start_again(self, why: str, now_s: float) -> None:
        """Throw the producer away and go back to the first record that is not wholly acked."""
        log.warning("event=producer_restart reason=%s", why.replace(" ", "_"))
        self._restarts += 1
        self._sink.close()
        self._delivery.collect()  # what was acked meanwhile need not be sent again
        self._held = None
        self._reader.rewind(self._delivery.restart())
        self._reconnect_at = now_s + RECONNECT_S

    def _watch(self, now_s: float) -> None:
        """Start again if acks stay out although the broker answers (twice): the producer is stuck for good."""
        oldest_s = self._delivery.oldest_s(now_s)
        self._tell(self._outage.waited(now_s, self._delivery.acked.seq, oldest_s))
        if oldest_s < self._patience_s:
            if self._answers and not self._delivery.in_flight:
                self._patience_s = WATCHDOG_S
            self._answers = 0
            return
        if now_s < self._probe_at:
            return
        self._answers = self._answers + 1 if self._sink.answers() else 0
        self._probe_at = time.monotonic() + PROBE_S
        if self._answers >= 2:
            self._answers = 0
            self._patience_s = min(2 * self._patience_s, 600.0)  # a broker that is only slow must get its chance
            self._start_again("stuck: the broker answers but acks nothing", now_s)

    def _store(self) -> None:
        acked = self._delivery.acked
        if acked == self._stored:
            return
        try:
            store_acked(self._folder, acked)
            self._stored = acked
        except OSError as error:
            # A full disk: deleting first makes room. The newest segment, with the checkpoints, always stays.
            log.warning("event=acked_not_stored error=%s", error.strerror)
        try:
            self._reader.delete_delivered(acked.seq)
        except OSError as error:
            log.warning("event=segment_not_deleted error=%s", error.strerror)

    def _set_aside(self, seq: int, message: Message, error: Exception) -> None:
        """Keep a message that Kafka will never take in a file of its own."""
        log.warning("event=message_set_aside seq=%d bytes=%d error=%s", seq, len(message.body), describe(error))
        folder = self._folder / SET_ASIDE_FOLDER
        try:
            folder.mkdir(mode=0o700, exist_ok=True)
            if sum(1 for _ in folder.iterdir()) < SET_ASIDE_MAX:
                name = f"{seq:020d}-{message.topic}-{message.n}.json"
                replace(folder / name, message.body, durable=False)
        except OSError as problem:
            log.warning("event=message_not_kept error=%s", problem.strerror)

    @staticmethod
    def _tell(line: str | None) -> None:
        if line is not None:
            log.warning("%s", line)

    def _report(self, *, delivered: bool) -> None:
        acked = self._delivery.acked
        self._supervisor.report(
            "status",
            sent=acked.sent,
            set_aside=acked.set_aside,
            damaged=acked.damaged,
            damaged_bytes=self._reader.skipped_bytes,
            in_flight=self._delivery.in_flight,
            connected=self._sink.connected,
            producer_restarts=self._restarts,
            delivered=delivered,
        )


def main() -> int:
    """Run the shipper as a child of the agent."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(levelname)s shipper %(message)s")
    for name in ("kafka", "urllib3"):
        logging.getLogger(name).setLevel(logging.CRITICAL)  # by the hundred while a broker is away; we tell it once
    supervisor = Supervisor()
    try:
        return Shipper(supervisor.config(), supervisor).run()
    except OperatorError as error:
        print(f"burstwatch agent: {error}", file=sys.stderr)  # noqa: T201 - the operator's line, as the front door prints
        return 2


if __name__ == "__main__":
    sys.exit(main())

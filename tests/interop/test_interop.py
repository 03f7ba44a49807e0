"""The agent against Google's gRPC server and Google's pprof."""

from __future__ import annotations

import gzip
import json
import os
import re
import shutil
import unittest
from pathlib import Path

import flame_on_pb2
import go_pprof
import grpc
import profile_pb2
import sender
from certificates import Authority, Pair, dns, loopback
from contract import MESSAGES, SERVICES, described
from google.protobuf import descriptor_pb2
from ingest_server import Ingest, IngestServer, Tls, unknown_fields
from profiles import Decoded, compare, decode
from proxy import Proxy

TARGET = Path(os.environ["INTEROP_TARGET"])
UUID = re.compile(r"^[0-9a-f]{8}-[0-9a-f]{4}-4[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$")
KEY = "an-api-key_0123456789"


class Case(unittest.TestCase):
    maxDiff = None

    def scratch(self, name: str) -> Path:
        path = TARGET / "scratch" / f"{type(self).__name__}.{self._testMethodName}" / name
        shutil.rmtree(path, ignore_errors=True)
        path.mkdir(parents=True)
        return path

    def assert_all_shipped(self, sent: sender.Sent) -> None:
        self.assertEqual((sent.shipped, sent.lost), (len(sent.traces), 0), sent.log)
        self.assertFalse(sent.has_lost)

    def assert_all_lost(self, sent: sender.Sent) -> None:
        self.assertEqual((sent.shipped, sent.lost), (0, len(sent.traces)), sent.log)
        self.assertTrue(sent.has_lost)

    def assert_profile(self, profile: profile_pb2.Profile, done: dict, sent: sender.Sent) -> Decoded:
        decoded = decode(profile)
        compare(decoded, done)
        self.assertTrue(sent.began - 1 <= profile.time_nanos / 1e9 <= sent.ended + 1, profile.time_nanos)
        return decoded

    def assert_received(self, ingest: Ingest, sent: sender.Sent) -> None:
        """Every trace that was sent was received once, and says what the sender says."""
        received = {trace.trace_id: trace for trace in ingest.traces()}
        self.assertEqual(len(received), len(ingest.traces()), "a trace came twice")
        self.assertEqual(set(received), {done["trace_id"] for done in sent.traces})
        for done in sent.traces:
            trace = received[done["trace_id"]]
            self.assertRegex(trace.trace_id, UUID)
            self.assertEqual(trace.event_name, done["event_name"])
            self.assertEqual(trace.event_identifier, done["identifier"])
            self.assertEqual(unknown_fields(trace), [])
            self.assert_profile(trace.profile, done, sent)

    def assert_go_agrees(self, file: Path, decoded: Decoded) -> None:
        flat, cumulative = decoded.flat_us(), decoded.cumulative_us()
        expected = {name: (flat.get(name, 0), total) for name, total in cumulative.items()}
        for sample_index in ("self_us", "total_us"):
            self.assertEqual(go_pprof.top(file, sample_index), (decoded.total_us, expected))
        self.assertEqual(go_pprof.traces(file), decoded.own_us)
        # As it is called without any option.
        self.assertEqual(go_pprof.total_us(go_pprof.pprof("-top", "-unit=us", str(file))), decoded.total_us)


class Contract(Case):
    def test_messages_have_the_fields_of_the_contract(self):
        for module, messages in MESSAGES.items():
            actual = {name: described(descriptor) for name, descriptor in module.DESCRIPTOR.message_types_by_name.items()}
            self.assertEqual(actual, messages)

    def test_services_have_the_methods_of_the_contract(self):
        actual = {
            name: (method.name, method.input_type.full_name, method.output_type.full_name)
            for name, service in flame_on_pb2.DESCRIPTOR.services_by_name.items()
            for method in service.methods
        }
        self.assertEqual(actual, SERVICES)
        self.assertEqual(flame_on_pb2.DESCRIPTOR.package, "flame_on")
        self.assertEqual(profile_pb2.DESCRIPTOR.package, "perftools.profiles")

    def test_the_number_of_a_dropped_field_stays_reserved(self):
        file = descriptor_pb2.FileDescriptorProto.FromString(flame_on_pb2.DESCRIPTOR.serialized_pb)
        trace = next(message for message in file.message_type if message.name == "TraceProfile")
        self.assertEqual([(range_.start, range_.end) for range_ in trace.reserved_range], [(2, 3)])


class PlainText(Case):
    def test_a_google_server_gets_every_trace_with_the_key(self):
        server = IngestServer()
        with server as ingest:
            sent = sender.run(server_url=server.address, use_ssl="false", api_key=KEY)
        self.assert_all_shipped(sent)
        self.assert_received(ingest, sent)
        self.assertGreater(len(ingest.batches), 1, "one batch would not show how batches are cut")
        for batch in ingest.batches:
            self.assertEqual(batch.authorization(), [f"Bearer {KEY}"])
        scratch = self.scratch("received")
        for trace in ingest.traces():
            file = scratch / f"{trace.trace_id}.pb"
            file.write_bytes(trace.profile.SerializeToString())
            self.assert_go_agrees(file, decode(trace.profile))

    def test_without_a_key_there_is_no_authorization_header(self):
        server = IngestServer()
        with server as ingest:
            # A scheme and a slash are dropped, and decide nothing.
            sent = sender.run(server_url=f"https://{server.address}/", use_ssl="false")
        self.assert_all_shipped(sent)
        self.assert_received(ingest, sent)
        for batch in ingest.batches:
            self.assertEqual(batch.authorization(), [])

    def test_a_batch_that_the_server_could_not_take_is_sent_again(self):
        server = IngestServer(failures=[grpc.StatusCode.UNAVAILABLE])
        with server as ingest:
            sent = sender.run(server_url=server.address, use_ssl="false", api_key=KEY)
        self.assertEqual(len(ingest.refused), 1)
        self.assert_all_shipped(sent)
        self.assert_received(ingest, sent)

    def test_a_refused_key_loses_the_traces_and_says_so(self):
        server = IngestServer(failures=[grpc.StatusCode.UNAUTHENTICATED] * 1_000)
        with server as ingest:
            sent = sender.run(server_url=server.address, use_ssl="false", api_key=KEY, limit=sender.IN_VAIN)
        self.assertGreater(len(ingest.refused), 0)
        self.assertEqual(ingest.batches, [])
        self.assert_all_lost(sent)
        self.assertNotIn(KEY, sent.log)


class Errors(Case):
    @classmethod
    def setUpClass(cls):
        cls.server = IngestServer()
        with cls.server:
            cls.sent = sender.run(
                server_url=cls.server.address, use_ssl="false", api_key=KEY, capture_errors="true", source_context="true"
            )
        cls.events = {event.event_id: event for event in cls.server.errors.events()}

    def test_every_event_arrives_once_with_the_key(self):
        self.assertFalse(self.sent.has_lost, self.sent.log)
        self.assertEqual(len(self.server.errors.events()), 3)
        self.assertEqual(len(self.events), 3)
        self.assertLessEqual(set(self.sent.error_ids), set(self.events))
        for batch in self.server.errors.batches:
            self.assertEqual(batch.authorization(), [f"Bearer {KEY}"])
        for event in self.events.values():
            self.assertEqual(unknown_fields(event), [])
            self.assertRegex(event.event_id, UUID)
            self.assertTrue(self.sent.began - 1 <= event.occurred_at.ToNanoseconds() / 1e9 <= self.sent.ended + 1)
            self.assertNotIn("secret", str(event))

    def test_every_field_of_an_event_is_what_the_sender_said(self):
        event = self.events[self.sent.error_ids[0]]
        pairs = lambda pairs: [(pair.key, pair.value) for pair in pairs]  # noqa: E731
        self.assertEqual(
            (event.platform, event.environment, event.service, event.release),
            ("rust", "interop", "interop-shop", "1.2.3"),
        )
        self.assertEqual((event.route, event.severity, event.handled), ("POST /orders/{id}", "fatal", False))
        self.assertEqual((event.message, event.span_id), ("the order is not paid", "b7ad6b7169203331"))
        self.assertEqual(list(event.fingerprint), ["payment", "bank"])
        traces = {trace.trace_id: trace.event_identifier for trace in self.server.ingest.traces()}
        self.assertEqual(traces[event.trace_id], "checkout", "the error is linked to its trace, and both arrived")
        error, cause = event.exceptions
        self.assertEqual((error.type, error.value), ("interop_sender::errors::NotPaid", "the order is not paid"))
        self.assertEqual((cause.type, cause.value), ("std::io::error::Error", "no connection, password=[REDACTED]"))
        self.assertEqual(len(cause.stack_trace.frames), 0)
        self.assert_frames(error.stack_trace.frames)
        request = event.request
        self.assertEqual((request.method, request.route), ("POST", "/orders/{id}"))
        self.assertEqual(request.url, "https://shop.example/orders/17?coupon=x&access_token=[REDACTED]")
        self.assertEqual(pairs(request.headers), [("accept", "*/*"), ("authorization", "[REDACTED]")])
        self.assertEqual(request.remote_addr, "203.0.113.9:4711")
        user = event.user
        self.assertEqual(
            (user.id, user.email, user.username, user.ip_address), ("7", "ann@example.com", "Ann ☃", "2001:db8::1")
        )
        (crumb,) = event.breadcrumbs
        self.assertTrue(self.sent.began - 1 <= crumb.timestamp.ToNanoseconds() / 1e9 <= self.sent.ended + 1)
        self.assertEqual((crumb.category, crumb.message), ("cart", "added"))
        self.assertEqual((crumb.type, crumb.level), ("user", "warning"))
        self.assertEqual(pairs(crumb.data), [("password", "[REDACTED]"), ("sku", "4711")])
        self.assertEqual(pairs(event.tags), [("retry", "2"), ("shop", "eu")])
        self.assertEqual(pairs(event.contexts), [("order", '{"card":{"token":"[REDACTED]"},"id":17}')])

    def assert_frames(self, frames) -> None:
        first = frames[0]
        self.assertIn("checkout", first.function)
        self.assertEqual(first.module, "interop_sender::errors")
        self.assertTrue(first.file.endswith("errors.rs") and first.abs_path.endswith("tests/interop/sender/errors.rs"))
        source = Path(first.abs_path).read_text("utf-8").splitlines()
        at = first.line - 1
        self.assertIn(source[at].strip(), "Report::error(&error) .capture()")
        self.assertEqual(first.context_line, source[at])
        self.assertEqual(list(first.pre_context), source[at - 5 : at])
        self.assertEqual(list(first.post_context), source[at + 1 : at + 6])
        self.assertGreater(first.column, 0)
        self.assertTrue(first.in_app)
        self.assertTrue(any(not frame.in_app for frame in frames), "the runtime is not the application's")

    def test_a_message_and_a_panic_are_told_too(self):
        message = self.events[self.sent.error_ids[1]]
        self.assertEqual((message.message, message.severity, message.handled), ("just a message", "info", True))
        self.assertEqual((list(message.exceptions), message.trace_id), ([], ""))
        self.assertFalse(message.HasField("user") or message.HasField("request"))
        (panic,) = [event for key, event in self.events.items() if key not in self.sent.error_ids]
        self.assertEqual((panic.message, panic.handled), ("a panic of size größe", False))
        self.assertEqual(panic.exceptions[0].type, "panic")
        self.assertEqual([pair.key for pair in panic.contexts], ["location", "thread"])


class OverTls(Case):
    @classmethod
    def setUpClass(cls):
        cls.authority = Authority("flame-on interop authority")
        cls.stranger = Authority("flame-on interop stranger")

    def pem(self, **pems: bytes) -> dict[str, str]:
        """Writes them into files, and names those."""
        scratch = self.scratch("pem")
        for name, pem in pems.items():
            (scratch / name).write_bytes(pem)
        return {name: str(scratch / name) for name in pems}

    def ship(
        self,
        server: Pair,
        client_ca: bytes | None = None,
        environment: dict[str, str] | None = None,
        limit: int = sender.PATIENCE,
        **settings: str,
    ) -> tuple[Ingest, sender.Sent]:
        listening = IngestServer(Tls(server.certificate, server.key, client_ca))
        with listening as ingest:
            sent = sender.run(environment, limit, server_url=listening.address, api_key=KEY, **settings)
        return ingest, sent

    def assert_ships(self, *args, **settings) -> None:
        ingest, sent = self.ship(*args, **settings)
        self.assert_all_shipped(sent)
        self.assert_received(ingest, sent)

    def assert_refuses(self, *args, **settings) -> None:
        ingest, sent = self.ship(*args, limit=sender.IN_VAIN, **settings)
        self.assertEqual((ingest.batches, ingest.refused), ([], []))
        self.assert_all_lost(sent)

    def test_an_own_authority_is_trusted_when_it_is_named(self):
        self.assert_ships(self.authority.issue(loopback()), **self.pem(ca_file=self.authority.certificate))

    def test_an_unknown_authority_gets_nothing(self):
        self.assert_refuses(self.authority.issue(loopback()))

    def test_another_authority_than_the_named_one_gets_nothing(self):
        self.assert_refuses(self.stranger.issue(loopback()), **self.pem(ca_file=self.authority.certificate))

    def test_a_server_of_another_name_gets_nothing_unless_that_name_is_expected(self):
        other, pem = self.authority.issue(dns("ingest.internal")), self.pem(ca_file=self.authority.certificate)
        self.assert_refuses(other, **pem)
        self.assert_ships(other, tls_server_name="ingest.internal", **pem)

    def test_traces_go_through_a_real_proxy_with_its_password_and_not_past_it(self):
        server, pem = self.authority.issue(loopback()), self.pem(ca_file=self.authority.certificate)
        with Proxy(self.scratch("proxy"), "shop:pass") as proxy:
            self.assert_ships(server, environment={"https_proxy": f"http://shop:pass@{proxy.address}"}, **pem)
            self.assertIn("CONNECT 127.0.0.1", proxy.log())
            self.assert_refuses(server, environment={"HTTPS_PROXY": f"http://shop:wrong@{proxy.address}"}, **pem)
            direct = {"HTTPS_PROXY": "http://127.0.0.1:1", "NO_PROXY": "example.com, 127.0.0.1"}
            self.assert_ships(server, environment=direct, **pem)
            self.assert_refuses(server, environment={"HTTPS_PROXY": "http://127.0.0.1:1"}, **pem)

    def test_a_server_that_wants_a_certificate_of_its_client_gets_it(self):
        own = self.authority.issue(dns("interop-shop"))
        pem = self.pem(
            ca_file=self.authority.certificate, client_cert_file=own.certificate, client_key_file=own.key
        )
        server = self.authority.issue(loopback())
        self.assert_ships(server, client_ca=self.authority.certificate, **pem)
        self.assert_refuses(server, client_ca=self.authority.certificate, ca_file=pem["ca_file"])


class LocalFiles(Case):
    def test_go_reads_every_file_and_sees_what_the_sender_saw(self):
        directory = self.scratch("local")
        sent = sender.run(local_dir=directory)
        self.assert_all_shipped(sent)
        index = [json.loads(line) for line in (directory / "index.jsonl").read_text("utf-8").splitlines()]
        entries = {entry["trace_id"]: entry for entry in index}
        self.assertEqual({entry["file"] for entry in index}, {path.name for path in directory.glob("*.pb.gz")})
        self.assertEqual(set(entries), {done["trace_id"] for done in sent.traces})
        for done in sent.traces:
            entry = entries[done["trace_id"]]
            file = directory / entry["file"]
            profile = profile_pb2.Profile.FromString(gzip.decompress(file.read_bytes()))
            decoded = self.assert_profile(profile, done, sent)
            self.assertEqual(
                (entry["event_name"], entry["identifier"], entry["duration_us"]),
                (done["event_name"], done["identifier"], decoded.total_us),
            )
            self.assert_go_agrees(file, decoded)


if __name__ == "__main__":
    unittest.main(verbosity=2)

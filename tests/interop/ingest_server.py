"""An ingest server on Google's own gRPC implementation, its code generated from `proto/`. It keeps what it gets."""

from __future__ import annotations

import threading
from concurrent import futures
from dataclasses import dataclass, field

import flame_on_pb2
import flame_on_pb2_grpc
import grpc
from google.protobuf.unknown_fields import UnknownFieldSet


@dataclass
class Batch:
    """One call: its request, and its metadata as the transport showed them."""

    request: flame_on_pb2.IngestRequest | flame_on_pb2.IngestErrorsRequest
    metadata: list[tuple[str, str]]

    def authorization(self) -> list[str]:
        return [value for key, value in self.metadata if key == "authorization"]


@dataclass
class ErrorIngest(flame_on_pb2_grpc.FlameOnErrorIngestServicer):
    """Takes every call."""

    batches: list[Batch] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def IngestErrors(self, request, context):  # noqa: N802, the generated code wants this name
        with self.lock:
            self.batches.append(Batch(request, list(context.invocation_metadata())))
        return flame_on_pb2.IngestErrorsResponse(success=True, ingested=len(request.events))

    def events(self) -> list[flame_on_pb2.ErrorEvent]:
        return [event for batch in self.batches for event in batch.request.events]


@dataclass
class Tls:
    """What the server shows, and whom it lets in: with `client_ca` only holders of a certificate of it."""

    certificate: bytes
    key: bytes
    client_ca: bytes | None = None

    def credentials(self) -> grpc.ServerCredentials:
        must_have_one = self.client_ca is not None
        return grpc.ssl_server_credentials([(self.key, self.certificate)], self.client_ca, must_have_one)


@dataclass
class Ingest(flame_on_pb2_grpc.FlameOnIngestServicer):
    """Refuses the first calls with `failures`, one each, and takes every later one."""

    failures: list[grpc.StatusCode] = field(default_factory=list)
    batches: list[Batch] = field(default_factory=list)
    refused: list[flame_on_pb2.IngestRequest] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def Ingest(self, request, context):  # noqa: N802, the generated code wants this name
        with self.lock:
            failure = self.failures.pop(0) if self.failures else None
            if failure is None:
                self.batches.append(Batch(request, list(context.invocation_metadata())))
            else:
                self.refused.append(request)
        if failure is not None:
            context.abort(failure, "as the test wants it")
        return flame_on_pb2.IngestResponse(success=True, ingested=len(request.traces))

    def traces(self) -> list[flame_on_pb2.TraceProfile]:
        return [trace for batch in self.batches for trace in batch.request.traces]


class IngestServer:
    """Listens on a free port of the loopback while it is entered."""

    def __init__(self, tls: Tls | None = None, failures: list[grpc.StatusCode] | None = None):
        self.ingest = Ingest(failures=failures or [])
        self.errors = ErrorIngest()
        self.server = grpc.server(futures.ThreadPoolExecutor(max_workers=2))
        flame_on_pb2_grpc.add_FlameOnIngestServicer_to_server(self.ingest, self.server)
        flame_on_pb2_grpc.add_FlameOnErrorIngestServicer_to_server(self.errors, self.server)
        address = "127.0.0.1:0"
        if tls is None:
            port = self.server.add_insecure_port(address)
        else:
            port = self.server.add_secure_port(address, tls.credentials())
        self.address = f"127.0.0.1:{port}"

    def __enter__(self) -> Ingest:
        self.server.start()
        return self.ingest

    def __exit__(self, *_):
        self.server.stop(grace=None).wait()


def unknown_fields(message) -> list[str]:
    """The fields of a message, and of those in it, that `proto/` does not know."""
    found = [f"{message.DESCRIPTOR.full_name} {f.field_number}" for f in UnknownFieldSet(message)]
    for descriptor, value in message.ListFields():
        if descriptor.message_type is not None:
            for inner in value if hasattr(value, "__len__") else [value]:
                found += unknown_fields(inner)
    return found

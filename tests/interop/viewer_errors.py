"""Sends error events to a viewer: `viewer_errors.py ADDRESS TRACE_ID`."""

from __future__ import annotations

import sys
import time
import uuid

import flame_on_pb2 as pb
import flame_on_pb2_grpc
import grpc


def pair(key: str, value: str) -> pb.KeyValue:
    return pb.KeyValue(key=key, value=value)


def event(kind: str, value: str, trace_id: str, ago: int) -> pb.ErrorEvent:
    source = pb.StackFrame(
        function="shop::payment::charge_card",
        file="src/payment.rs",
        line=42,
        column=13,
        in_app=True,
        pre_context=["async fn charge_card(card: &Card) -> Result<Receipt, PaymentError> {", "    let gateway = gateway();"],
        context_line="    let receipt = gateway.charge(card).await?;",
        post_context=["    Ok(receipt)", "}"],
    )
    library = pb.StackFrame(function="reqwest::async_impl::client::send", file="reqwest-0.12/src/client.rs", line=7)
    made = pb.ErrorEvent(
        event_id=str(uuid.uuid4()),
        platform="rust",
        environment="production",
        service="demo-shop",
        release="0.1.0",
        route="GET /orders/{id}",
        severity="error",
        message="the payment of order 7 failed",
        trace_id=trace_id,
        exceptions=[
            pb.Exception(type=kind, value=value, stack_trace=pb.StackTrace(frames=[library, source])),
            pb.Exception(type="std::io::Error", value="connection reset by peer"),
        ],
        request=pb.RequestContext(method="GET", url="/orders/7", route="/orders/{id}", headers=[pair("accept", "*/*")]),
        user=pb.UserContext(id="1729", username="ada"),
        tags=[pair("tenant", "acme"), pair("region", "eu")],
        contexts=[pair("order", '{"id":7,"lines":3}')],
    )
    made.occurred_at.FromMilliseconds(int(time.time() * 1000) - ago)
    crumb = made.breadcrumbs.add(category="http", message="GET /prices answered 200", type="default", level="info")
    crumb.timestamp.FromMilliseconds(int(time.time() * 1000) - ago - 20)
    return made


def main() -> None:
    address, trace_id = sys.argv[1:]
    events = [event("shop::PaymentError", "the gateway has hung up", trace_id, ago * 1_000) for ago in range(0, 60, 4)]
    events += [event("shop::StockError", "7 are missing", "", ago * 1_000) for ago in (5, 50)]
    with grpc.insecure_channel(address) as channel:
        answer = flame_on_pb2_grpc.FlameOnErrorIngestStub(channel).IngestErrors(pb.IngestErrorsRequest(events=events))
    assert answer.success and answer.ingested == len(events), answer


if __name__ == "__main__":
    main()

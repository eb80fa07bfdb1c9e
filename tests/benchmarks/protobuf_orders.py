"""The workload as Protocol Buffers, for peers that use them; made without a compiler."""

from typing import Any

from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from google.protobuf.descriptor_pb2 import FieldDescriptorProto

from by_hand import CreateOrder, confirm

_STRING, _DOUBLE = FieldDescriptorProto.TYPE_STRING, FieldDescriptorProto.TYPE_DOUBLE
_INT32, _MESSAGE = FieldDescriptorProto.TYPE_INT32, FieldDescriptorProto.TYPE_MESSAGE
_FIELDS: dict[str, dict[str, Any]] = {
    "LineItem": {"sku": _STRING, "name": _STRING, "price": _DOUBLE, "quantity": _INT32},
    "CreateOrder": {
        "customer": _STRING,
        "currency": _STRING,
        "note": _STRING,
        "items": ".bench.LineItem",
    },
    "Request": {"key": _STRING, "order": ".bench.CreateOrder"},
    "Confirmation": {
        "customer": _STRING,
        "status": _STRING,
        "total": _DOUBLE,
        "positions": _INT32,
        "warehouse": _STRING,
        "carrier": _STRING,
        "message": _STRING,
    },
}


def _pool() -> descriptor_pool.DescriptorPool:
    file = descriptor_pb2.FileDescriptorProto(name="bench.proto", package="bench", syntax="proto3")
    for name, fields in _FIELDS.items():
        message = file.message_type.add(name=name)
        for number, (field, kind) in enumerate(fields.items(), 1):
            is_list = field == "items"
            label = (
                FieldDescriptorProto.LABEL_REPEATED
                if is_list
                else FieldDescriptorProto.LABEL_OPTIONAL
            )
            added = message.field.add(name=field, number=number, label=label)
            if isinstance(kind, str):
                added.type, added.type_name = _MESSAGE, kind
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    return pool


_POOL = _pool()
Request: Any = message_factory.GetMessageClass(_POOL.FindMessageTypeByName("bench.Request"))
Confirmation: Any = message_factory.GetMessageClass(
    _POOL.FindMessageTypeByName("bench.Confirmation")
)


def confirmed(request: Any) -> Any:
    """The handler: the same as by hand."""
    order = request.order
    return Confirmation(
        customer=order.customer,
        status="accepted",
        total=sum(item.price * item.quantity for item in order.items),
        positions=len(order.items),
        warehouse="rotterdam-europoort-02",
        carrier="cargo-bike",
        message="we pack it today and ring twice",
    )


def check(reply: Any, order: dict[str, Any]) -> None:
    """Raise ValueError if this is not the confirmation of an order."""
    expected = confirm(CreateOrder.model_validate(order)).model_dump()
    if {name: getattr(reply, name) for name in expected} != expected:
        raise ValueError(f"unexpected reply: {reply}")

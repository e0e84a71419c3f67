"""Reads TensorBoard's event files by the layout of their protocol buffers, and holds every checksum against its record."""
import pathlib
import struct

try:  # python3-protobuf and python3-crcmod of Debian: somebody else's reading of the same bytes
    import crcmod.predefined
    from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
except ImportError as missing:
    crcmod = None
    print(f"notice: event files are read by these tests' own parser alone: {missing}")


def crc32c(data):
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


assert crc32c(b"123456789") == 0xE3069283  # the check value of CRC-32C


def masked(data):
    crc = crc32c(data)
    return ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF


def records(path):
    """The whole records of a TFRecord file; one cut off at the end, as a killed process leaves it, does not count."""
    raw = path.read_bytes()
    while len(raw) >= 12:
        length, check = struct.unpack("<QI", raw[:12])
        if len(raw) < 16 + length:
            return
        data = raw[12:12 + length]
        assert check == masked(raw[:8]), f"{path}: the checksum of a length is wrong"
        assert struct.unpack("<I", raw[12 + length:16 + length])[0] == masked(data), f"{path}: the checksum of a record is wrong"
        yield data
        raw = raw[16 + length:]


def fields(message):
    """(number, value) of each field of a protocol buffer: integers, raw bytes."""
    position = 0

    def varint():
        nonlocal position
        value = shift = 0
        while True:
            byte = message[position]
            position += 1
            value |= (byte & 0x7F) << shift
            shift += 7
            if byte < 0x80:
                return value

    while position < len(message):
        key = varint()
        kind = key & 7
        if kind == 0:
            yield key >> 3, varint()
            continue
        length = {1: 8, 5: 4}.get(kind) or varint()
        yield key >> 3, message[position:position + length]
        position += length
    assert position == len(message)


def read_scalars(folder):
    """{tag: {step: value}} of a run's folder, all files in order; the start of a session voids what lies behind its step."""
    scalars = {}
    files = sorted(pathlib.Path(folder).glob("events.out.tfevents.*"))
    assert files, f"{folder} holds no event files"
    for path in files:
        for number, record in enumerate(records(path)):
            event = dict(fields(record))
            assert struct.unpack("<d", event[1])[0] > 1.6e9, "no wall time"
            assert (number == 0) == (3 in event) and event.get(3, b"brain.Event:2") == b"brain.Event:2", event
            if 7 in event:  # SessionLog
                assert dict(fields(event[7])) == {1: 1}, event
                for values in scalars.values():
                    for step in [step for step in values if step >= event[2]]:
                        del values[step]
            for _, value in fields(event.get(5, b"")):  # Summary
                value = dict(fields(value))
                scalars.setdefault(value[1].decode(), {})[event[2]] = struct.unpack("<f", value[2])[0]
    return scalars


def event_class():
    """The message Event as TensorFlow's event.proto and summary.proto declare it, as far as scalars need it."""
    kinds = descriptor_pb2.FieldDescriptorProto
    declared = {"Value": [("tag", 1, kinds.TYPE_STRING), ("simple_value", 2, kinds.TYPE_FLOAT)], "Summary": [("value", 1, "Value")],
                "SessionLog": [("status", 1, kinds.TYPE_INT32)],
                "Event": [("wall_time", 1, kinds.TYPE_DOUBLE), ("step", 2, kinds.TYPE_INT64), ("file_version", 3, kinds.TYPE_STRING),
                          ("summary", 5, "Summary"), ("session_log", 7, "SessionLog")]}
    file = descriptor_pb2.FileDescriptorProto(name="event.proto", syntax="proto3")
    for name, members in declared.items():
        message = file.message_type.add(name=name)
        for field, number, kind in members:
            added = message.field.add(name=field, number=number, label=kinds.LABEL_REPEATED if field == "value" else kinds.LABEL_OPTIONAL)
            if isinstance(kind, str):
                added.type, added.type_name = kinds.TYPE_MESSAGE, f".{kind}"
            else:
                added.type = kind
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    found = pool.FindMessageTypeByName("Event")
    return message_factory.GetMessageClass(found) if hasattr(message_factory, "GetMessageClass") else message_factory.MessageFactory(pool).GetPrototype(found)


def check_independently(folder):
    """Checksums by crcmod and messages by protobuf's own library say the same as the functions above, where they are installed."""
    if not crcmod:
        return
    checksum, event_type = crcmod.predefined.mkPredefinedCrcFun("crc-32c"), event_class()
    for path in sorted(pathlib.Path(folder).glob("events.out.tfevents.*")):
        for record in records(path):
            assert checksum(record) == crc32c(record), path
            event, plain = event_type.FromString(record), dict(fields(record))
            assert event.wall_time == struct.unpack("<d", plain[1])[0] and event.step == plain[2], (path, event)
            assert event.file_version == plain.get(3, b"").decode() and event.session_log.status == (1 if 7 in plain else 0), (path, event)
            values = [dict(fields(value)) for _, value in fields(plain.get(5, b""))]
            found = [(value.tag.encode(), struct.pack("<f", value.simple_value)) for value in event.summary.value]
            assert found == [(value[1], value[2]) for value in values], (path, event)
            whole = event.SerializeToString()
            event.DiscardUnknownFields()
            assert event.SerializeToString() == whole, f"{path}: fields that event.proto does not have: {record}"

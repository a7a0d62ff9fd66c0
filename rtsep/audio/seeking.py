"""Going to a frame of a file, to the sample: by the packet that comes after a seek, not by what was asked for."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain

from rtsep.audio.decoder import AudioPacket, Decoder
from rtsep.audio.packet_table import PacketTable

LEAD_S = 0.5  # that is decoded before what is wanted: all codecs are settled by then
TRIES = 4  # of seeks, each from farther before


def packets_by_time(decoder: Decoder, frame: int) -> Iterator[AudioPacket] | None:
    """Go to a frame of plain samples, whose time stamps are exact.

    Args:
        decoder: its position becomes that of the packet that comes next, at the frame or before it.
        frame: from the start.

    Returns:
        The packets from there on; None where it went wrong.
    """
    base = decoder.stream.time_base
    if not base or not decoder.seek(int(frame / decoder.sample_rate / base)):
        return None
    packets = decoder.packets()
    packet = next(packets, None)
    if packet is None or packet.pts is None:
        return None
    decoder.position = round(float(packet.pts * base) * decoder.sample_rate)
    return chain([packet], packets) if decoder.position <= frame else None


def packets_by_table(decoder: Decoder, table: PacketTable, frame: int) -> Iterator[AudioPacket] | None:
    """Go to a frame of any format, by a table of its packets.

    Args:
        decoder: its position becomes that of the packet that comes next, at the frame or before it.
        table: of the same stream.
        frame: from the start.

    Returns:
        The packets from there on; None where none was found, and the file is to be decoded from its beginning.
    """
    wanted = table.packet_before(frame)
    lead = round(LEAD_S * decoder.sample_rate)
    for attempt in range(TRIES):
        begin = table.packet_before(frame - (lead << attempt))
        if not begin or not decoder.seek(int(table.stamps[begin])):
            return None
        packets = decoder.packets()
        packet = next(packets, None)
        if packet is None or not packet.size:
            continue
        found = table.find(packet)
        if found is None or table.starts[wanted] - table.starts[found] < lead // 2:
            continue
        everything = chain([packet], packets)
        for _, one in zip(range(wanted - found), everything, strict=False):
            decoder.feed(one)  # until the codec is settled
        decoder.settle(int(table.starts[wanted]))
        return everything
    return None

"""What the options of a SYN rule: RFC 9293 3.7.1, RFC 6691, RFC 7323 2."""

import pytest

from support.fixtures import accepted, established, listening, syn_received
from support.rules import rule
from support.script import ACK, IRS, ISS, PSH, SYN, Script

EFFECTIVE_MSS = [(None, 536), (536, 536), (1000, 1000), (1460, 1460), (9000, 1460)]


@rule("RFC 9293 3.7.1", "Without an MSS option the peer takes 536 octets", code="tcp/handshake.py")
@pytest.mark.parametrize("wscale", [None, 0, 7, 14, 15])
@pytest.mark.parametrize(("mss", "effective"), EFFECTIVE_MSS)
def test_options_of_the_syn_ack_rule_an_active_connection(
    mss: int | None, effective: int, wscale: int | None
) -> None:
    script = established(mss=mss, wscale=wscale, window=65535)
    window_is_scaled(script, wscale)
    sizes_are(script, effective)


@rule("RFC 7323 2.2", "Windows are scaled only if both SYNs say so", code="tcp/handshake.py")
@rule("RFC 7323 2.3", "A shift above 14 counts as 14", code="tcp/options.py")
@pytest.mark.parametrize("wscale", [None, 0, 7, 14, 15])
@pytest.mark.parametrize(("mss", "effective"), EFFECTIVE_MSS)
def test_options_of_the_syn_rule_a_passive_connection(
    mss: int | None, effective: int, wscale: int | None
) -> None:
    script = syn_received(mss=mss, wscale=wscale)
    assert (script.scales["stack"] is None) == (wscale is None)  # RFC 7323 2.2: only in answer to one
    script.sends(ACK).expect_nothing()
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    window_is_scaled(script, wscale)
    sizes_are(script, effective)


def window_is_scaled(script: Script, wscale: int | None) -> None:
    """With the scale agreed, a window field counts 2**wscale octets; otherwise one."""
    script.sends(ACK, window=0)
    script.sends(ACK, window=1 << 14)  # from a closed window on: one that is taken back counts for nothing
    assert script.sock.connection is not None
    assert script.sock.connection.snd.snd_wnd == 1 << 14
    script.sends(ACK, window=65535).expect_nothing()


def sizes_are(script: Script, effective: int) -> None:
    """What is written in one go is cut at the effective MSS."""
    data = bytes(range(200)) * 40
    script.sock.send(data[: 2 * effective + 100])
    script.expect_data(data[: 2 * effective + 100], [effective, effective, 100])


@rule("RFC 7323 2.2", "The window of a SYN is not scaled", code="tcp/handshake.py")
def test_the_window_of_a_syn_is_not_scaled() -> None:
    script = established(wscale=7, window=3000)
    assert script.sock.connection is not None
    assert script.sock.connection.snd.snd_wnd == 3000


def test_without_scaling_the_window_stays_within_16_bits() -> None:
    script = accepted()
    script.sends(PSH | ACK, data=b"x" * 1000).after(0.04)
    assert script.octets(script.expect(ACK)) <= 65535


@rule("RFC 9293 3.1", "An option of an illegal length is survived", code="tcp/options.py")
def test_malformed_options_are_survived() -> None:
    """An option that overruns the header, or of length 0, must not be read past (RFC 9293 3.1)."""
    script = listening()
    broken = (b"\x02\x00\x05\xb4", b"\x02\x28\x05\xb4", b"\x03\x01\x00\x00", b"\x01\x01\x01\x02")
    for number, options in enumerate(broken):
        script.ports = (7000 + number, 80)
        script.sends(SYN, seq=ISS, options=options)
        assert all(heard.flags == SYN | ACK for heard in script.drain())


@rule("RFC 9293 3.1", "An option that is not known is skipped by its length", code="tcp/options.py")
def test_an_unknown_option_is_skipped() -> None:
    script = listening()
    script.sends(SYN, options=b"\xfd\x04\x12\x34\x02\x04\x02\x58")  # an experiment (RFC 6994), then MSS 600
    script.heard = IRS
    script.expect(SYN | ACK)
    script.sends(ACK)
    assert script.listener is not None
    script.sock = script.listener.accept()[0]
    script.sock.send(bytes(700))
    script.expect_data(bytes(700), [600, 100])

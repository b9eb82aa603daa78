"""What keeps a backend from being installed, as sentences."""

from __future__ import annotations

import errno
import re

from tapestry_protocol.accelerators import DISK_SIGNS, NETWORK_SIGNS, Accelerator
from tapestry_protocol.errors import ErrorCode, TapestryError

from ..i18n.translation import decimal, tr
from .bundled import BundledBackend
from .uv_settings import without_userinfo

LOCKED_SIGNS = ("(os error 5)", "(os error 32)")
"""Windows' numbers for a file that another program, such as a virus scanner, has open."""

_LONG_SIGNS = ("(os error 206)", "File name too long")
_OTHER_BYTES = "Hash mismatch"
_ERROR = re.compile(r"(?i)error|  \u00d7 ")
_CAUSE = re.compile(r"(?i) +(?:caused by:|cause:|[\u251c\u2570]\u2500\u25b6) *(.+)")
_LINE = 140
_FULL = {errno.ENOSPC, getattr(errno, "EDQUOT", errno.ENOSPC)}
_FORBIDDEN = {errno.EACCES, errno.EPERM, errno.EROFS}


class PyTorchAwayError(TapestryError):
    """PyTorch's own index cannot be reached; the package index may have it as well."""


def what_it_means(said: str, own: BundledBackend) -> TapestryError:
    """Out of what a program has said before it failed."""
    last = _heart_of(said)
    if _OTHER_BYTES in said:
        return other_bytes(last)
    if any(sign in said for sign in DISK_SIGNS) or "os error 28)" in said:
        return of_the_disk(last, own)
    if any(sign in said for sign in _LONG_SIGNS):
        return TapestryError(
            ErrorCode.INTERNAL,
            tr("A path is longer than Windows allows: {why}").format(why=last),
            tr("Let the computer's administrator allow long paths, then press Install once more."),
        )
    if any(sign in said for sign in NETWORK_SIGNS):
        error = of_the_network(last)
        if "download.pytorch.org" in said:
            return PyTorchAwayError(error.code, error.message, error.advice)
        return error
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend could not be installed: {why}").format(why=last),
        tr("The file {log} says more.").format(log=own.log),
    )


def _heart_of(said: str) -> str:
    """The last error, with the first and the deepest cause that are named under it."""
    lines = said.strip().splitlines() or ["?"]
    starts = [i for i, line in enumerate(lines) if _ERROR.match(line)]
    if not starts:
        return lines[-1]
    found = lines[starts[-1]].strip()
    causes = [cause[1] for line in lines[starts[-1] + 1 :] if (cause := _CAUSE.match(line))]
    reasons = "; ".join(cause[:_LINE] for cause in dict.fromkeys([*causes[:1], *causes[-1:]]))
    return f"{found[:_LINE]} ({reasons})" if causes else found


def other_bytes(what: str) -> TapestryError:
    """The download is not the expected file."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        tr("What was fetched is not what is known by its hash, and was thrown away: {what}").format(
            what=what
        ),
        tr("Press Install once more; if it happens again, ask who runs your network."),
    )


def of_the_network(why: str) -> TapestryError:
    """The network gives nothing."""
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The package index cannot be reached: {why}").format(why=why),
        tr("Check the network (or the proxy), then press Install once more: it goes on."),
    )


def of_pytorchs_index(error: TapestryError, theirs: Accelerator) -> TapestryError:
    """What this computer needs is there alone; the package index has something larger."""
    return TapestryError(
        ErrorCode.INTERNAL,
        error.message,
        tr(
            "Check the network (or the proxy). Or press Install once more to take PyTorch for "
            "{kind} from the package index: {size} GB, {disk} GB on the disk."
        ).format(kind=theirs.label, size=decimal(theirs.fetched_gb), disk=decimal(theirs.disk_gb)),
    )


def of_the_system(error: OSError, own: BundledBackend) -> TapestryError:
    """What the operating system refuses, with advice for its kind."""
    why = without_userinfo(str(error))
    if error.errno in _FULL:
        return of_the_disk(why, own)
    message = tr("The backend cannot be written to {folder}: {why}").format(
        folder=own.folder, why=why
    )
    if error.errno in _FORBIDDEN:
        advice = tr(
            "Let your user write into this folder and start programs there, then press Install "
            "once more."
        )
    else:
        advice = tr("Press Install once more; if it happens again, {log} says more.").format(
            log=own.log
        )
    return TapestryError(ErrorCode.INTERNAL, message, advice)


def of_the_disk(why: str, own: BundledBackend) -> TapestryError:
    """The disk takes nothing."""
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend cannot be written to {folder}: {why}").format(folder=own.folder, why=why),
        tr("Make room on the disk ({size} GB), then press Install once more: it goes on.").format(
            size=decimal(own.accelerator.disk_gb)
        ),
    )

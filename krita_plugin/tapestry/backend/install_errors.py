"""What keeps a backend from being installed, as sentences."""

from __future__ import annotations

from tapestry_protocol.accelerators import DISK_SIGNS, NETWORK_SIGNS, Accelerator
from tapestry_protocol.errors import ErrorCode, TapestryError

from ..i18n.translation import tr
from .bundled import BundledBackend

LOCKED_SIGNS = ("(os error 5)", "(os error 32)")
"""Windows' numbers for a file that another program, such as a virus scanner, has open."""

_LONG_SIGNS = ("(os error 206)", "File name too long")
_OTHER_BYTES = "Hash mismatch"


class PyTorchAwayError(TapestryError):
    """PyTorch's own index cannot be reached; the package index may have it as well."""


def what_it_means(said: str, own: BundledBackend) -> TapestryError:
    """Out of what a program has said before it failed."""
    errors = [line for line in said.splitlines() if line.lower().startswith("error")]
    last = errors[-1] if errors else (said.strip().splitlines() or ["?"])[-1]
    if _OTHER_BYTES in said:
        return other_bytes(last)
    if any(sign in said for sign in DISK_SIGNS) or "os error 28)" in said:
        return of_the_disk(last, own)
    if any(sign in said for sign in _LONG_SIGNS):
        return TapestryError(
            ErrorCode.INTERNAL,
            tr("A path is longer than Windows allows: {why}").format(why=last[:300]),
            tr("Let the computer's administrator allow long paths, then press Install once more."),
        )
    if any(sign in said for sign in NETWORK_SIGNS):
        error = of_the_network(last)
        if "download.pytorch.org" in said:
            return PyTorchAwayError(error.code, error.message, error.advice)
        return error
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend could not be installed: {why}").format(why=last[:300]),
        tr("The file {log} says more.").format(log=own.log),
    )


def other_bytes(what: str) -> TapestryError:
    """Something else came than what was asked for."""
    return TapestryError(
        ErrorCode.BAD_REQUEST,
        tr("What was fetched is not what is known by its hash, and was thrown away: {what}").format(
            what=what[:300]
        ),
        tr("Press Install once more; if it happens again, ask who runs your network."),
    )


def of_the_network(why: str) -> TapestryError:
    """The network gives nothing."""
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The package index cannot be reached: {why}").format(why=why[:300]),
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
        ).format(kind=theirs.label, size=theirs.fetched_gb, disk=theirs.disk_gb),
    )


def of_the_disk(why: str, own: BundledBackend) -> TapestryError:
    """The disk takes nothing."""
    return TapestryError(
        ErrorCode.INTERNAL,
        tr("The backend cannot be written to {folder}: {why}").format(folder=own.folder, why=why),
        tr("Make room on the disk ({size} GB), then press Install once more: it goes on.").format(
            size=own.accelerator.disk_gb
        ),
    )

"""Every number that bounds what an OpenRaster file may make us do, each with its reason."""

from tapestry_protocol.limits import MAX_BLOB_BYTES, MAX_CANVAS_PX, MIB

MAX_FILE_BYTES = 512 * MIB
"""The file is held in memory once; the largest canvas with a dozen painted layers fits."""

MAX_ENTRIES = 4_000
"""Files inside the archive; far more than any painting has layers."""

MAX_ENTRY_BYTES = MAX_BLOB_BYTES
"""One file inside, unpacked: no honest PNG is larger than its raw pixels."""

MAX_UNPACKED_BYTES = 4 * MAX_ENTRY_BYTES
"""Everything inside, unpacked: a bomb of many small files is a bomb as well."""

MAX_STACK_BYTES = 4 * MIB
"""stack.xml: a thousand bytes for each layer."""

MAX_STACK_ELEMENTS = 10 * MAX_ENTRIES
"""Elements in stack.xml: its layers, and whatever another program writes about each."""

MAX_STACK_DEPTH = 64
"""Groups within groups; bounds the recursion over them."""

MAX_CANVASES_DECODED = 100
"""How often the canvas's own number of pixels may be decoded, over all layers together."""

MAX_EXTRA_DECODED_PX = 2 * MAX_CANVAS_PX
"""Added to that: a small canvas may hold a few layers that are far larger than itself."""

MAX_PROFILE_BYTES = 32 * MIB
"""A colour profile, unpacked; those of printers with large tables have a few MiB."""

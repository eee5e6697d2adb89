"""Whether the model hub answers, found out once and in seconds: its libraries would try for a minute."""

from __future__ import annotations

import functools
import os
import threading
import urllib.error
import urllib.request

SECONDS = 5  # a hub that says nothing for so long is none


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


@functools.cache
def answers() -> bool:
    """Whether anything answers at the hub's address. If not, or if HF_HUB_OFFLINE is set, its libraries are told to
    look into their cache only."""
    import huggingface_hub.constants as constants  # half a second, and only users of the hub wait for it

    if not constants.HF_HUB_OFFLINE:
        constants.HF_HUB_OFFLINE = not _asked(endpoint())
    return not constants.HF_HUB_OFFLINE


def _asked(address: str) -> bool:
    found: list[bool] = []

    def ask() -> None:
        try:
            urllib.request.urlopen(urllib.request.Request(address, method="HEAD"), timeout=SECONDS).close()
        except urllib.error.HTTPError:  # an answer too
            pass
        except (OSError, ValueError):
            return
        found.append(True)

    thread = threading.Thread(target=ask, daemon=True)  # looking up a name knows no time limit
    thread.start()
    thread.join(SECONDS)
    return bool(found)

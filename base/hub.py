"""The Hugging Face hub: whether it can be reached, asked once, before its libraries spend a minute on retries.

Where it cannot, they are told to look into their cache only: what is there is used, and what is not is an error at
once. Call `settle` before a library is asked for anything; `trouble` is the end of the sentence for a failure.
"""

from __future__ import annotations

import os
import sys
import threading
import urllib.error
import urllib.request
from functools import lru_cache

WAIT_S = 5.0  # for an answer of the hub, name look-up included, seconds


def endpoint() -> str:
    return os.environ.get("HF_ENDPOINT") or "https://huggingface.co"


@lru_cache(maxsize=1)
def trouble() -> str:
    """Why the hub cannot be reached, for the end of a sentence; "" where it can be."""
    if os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on"):
        return "HF_HUB_OFFLINE is set"
    said = [f"no answer within {WAIT_S:g} s"]

    def ask() -> None:
        try:
            urllib.request.urlopen(endpoint(), timeout=WAIT_S).close()
            said.append("")
        except urllib.error.HTTPError:
            said.append("")  # it answered: what is wrong with the request, the library will say
        except (OSError, ValueError) as error:
            reason = getattr(error, "reason", error)
            said.append(
                "" if "CERTIFICATE" in str(reason).upper() else str(getattr(reason, "strerror", None) or reason)
            )

    thread = threading.Thread(target=ask, daemon=True)  # a look-up of a name has no time limit of its own
    thread.start()
    thread.join(WAIT_S + 1)
    return f"{endpoint()} cannot be reached: {said[-1]}" if said[-1] else ""


def settle() -> str:
    """Turns the hub's libraries offline where it cannot be reached, loaded or not yet. Returns `trouble()`."""
    why = trouble()
    if why:
        os.environ["HF_HUB_OFFLINE"] = "1"
        for module in ("huggingface_hub.constants", "datasets.config"):
            if module in sys.modules:
                sys.modules[module].HF_HUB_OFFLINE = True  # type: ignore[attr-defined]
    return why

"""What goes wrong, as exceptions that say where and what to do about it."""
from __future__ import annotations

import re
from typing import Any, Optional

_HEAD = re.compile(r"^(?:(?P<file>[^:\n]+):(?P<line>\d+)(?::(?P<column>\d+))?: )?(?P<severity>error|warning|note|help): (?P<text>.*)$")
_PLACE = re.compile(r"^(?P<file>[^:\s]+):(?P<line>\d+)(?::(?P<column>\d+))?: (?P<text>.*)$")
_CARET = re.compile(r"^[ \t]*\^~*$")


class Error(Exception):
    """What a caller can cause: a wrong network, file, shape or option.

    ``str(error)`` is the whole text as the command ``bnc`` prints it, with the source line and a caret. Its parts:

    message   what is wrong, in one line
    file      the file it is wrong in, or None
    line      the line there, from 1, or None
    column    the column there, from 1, or None
    source    the text of that line, or None
    notes     further remarks, a list
    help      what can be done about it, or None
    """

    def __init__(self, text: str):
        self.message: str = ""
        self.file: Optional[str] = None
        self.line: Optional[int] = None
        self.column: Optional[int] = None
        self.source: Optional[str] = None
        self.notes: list[str] = []
        helps: list[str] = []
        lines = text.rstrip("\n").split("\n")
        severity = None
        for number, line in enumerate(lines):
            head = _HEAD.match(line)
            if head and head["severity"] in ("error", "warning"):
                if severity is not None:
                    break  # the next one of several errors
                severity = head["severity"]
                place = head if head["file"] else _PLACE.match(head["text"]) or head
                self.message = place["text"]
                self._take_place(place)
            elif head and head["severity"] == "note":
                severity = "note"
                self.notes.append(line[line.index("note: ") + 6:])
            elif head:
                severity = "help"
                helps.append(head["text"])
            elif _CARET.match(line) and number > 0 and severity in ("error", "warning"):
                self.source = lines[number - 1]
        if not self.message:
            self.message = lines[0]
        self.help: Optional[str] = "\n".join(helps) or None
        super().__init__(text[len("error: "):].rstrip("\n") if text.startswith("error: ") else text.rstrip("\n"))

    def _take_place(self, match: "re.Match[str]") -> None:
        groups = match.groupdict()
        if groups.get("file"):
            self.file = groups["file"]
            self.line = int(groups["line"])
            self.column = int(groups["column"]) if groups.get("column") else None


class DivergenceError(Error):
    """The loss or a weight ceased to be a finite number while training.

    step             the step that did it, from 1; 0 where the run began with such weights
    tensor           the first one that is not finite
    place            FILE:LINE of its layer
    checkpoint_path, best_weights_path, report_path   what the run has kept; empty where it has not
    """

    def __init__(self, found: tuple[str, dict[str, Any]]):
        text, facts = found
        super().__init__(text)
        self.step: int = facts["step"]
        self.tensor: str = facts["tensor"]
        self.place: str = facts["place"]
        self.checkpoint_step: int = facts["checkpoint_step"]
        self.checkpoint_path: str = facts["checkpoint_path"]
        self.best_weights_path: str = facts["best_weights_path"]
        self.report_path: str = facts["report_path"]


class InternalError(RuntimeError):
    """A bug in bnc: please report it."""

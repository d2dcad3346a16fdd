"""Tables as text: one structure, rendered for the terminal, for Markdown and for HTML."""

import html
from dataclasses import dataclass, field


MARKS = ("*", "~")  # behind a number: told in a note below


@dataclass
class Table:
    """Cells are text already. `left` names the columns set to the left; the others are numbers, set to the right.

    A rule stands before each row whose index is in `breaks`; `notes` follow below, one line each.
    """

    title: str
    columns: list
    rows: list
    left: frozenset = frozenset()
    breaks: frozenset = frozenset()
    notes: list = field(default_factory=list)

    def text(self):
        rows = list(zip(*map(self._aligned, zip(self.columns, *self.rows))))[1:]
        widths = [max(map(len, column)) for column in zip(self.columns, *rows)]
        lines = [self.title, "", self._line(self.columns, widths), "  ".join("─" * width for width in widths)]
        for index, row in enumerate(rows):
            if index in self.breaks:
                lines.append("")
            lines.append(self._line(row, widths))
        return "\n".join([*lines, *self._spaced_notes()])

    def markdown(self):
        return "\n".join([f"## {self.title}", "", *self.markdown_lines(), *self._spaced_notes()]) + "\n"

    def markdown_lines(self):
        """The table alone: no title, no notes."""
        rule = [":--" if column in self.left else "--:" for column in self.columns]
        rows = [self.columns, rule, *self.rows]
        return ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]

    def html(self):
        head = "".join(self._cell("th", column, column) for column in self.columns)
        body = []
        for index, row in enumerate(self.rows):
            opening = '<tr class="break">' if index in self.breaks else "<tr>"
            body.append(opening + "".join(self._cell("td", *pair) for pair in zip(row, self.columns)) + "</tr>")
        notes = "".join(f'<p class="note">{html.escape(note)}</p>' for note in self.notes)
        return (f'<div class="scroll"><table><caption>{html.escape(self.title)}</caption><thead><tr>{head}</tr></thead>'
                f'<tbody>{"".join(body)}</tbody></table></div>{notes}')

    def _cell(self, tag, text, column):
        side = ' class="left"' if column in self.left else ""
        return f"<{tag}{side}>{html.escape(text)}</{tag}>"

    def _line(self, row, widths):
        cells = (cell.ljust(width) if column in self.left else cell.rjust(width)
                 for cell, width, column in zip(row, widths, self.columns))
        return "  ".join(cells).rstrip()

    def _aligned(self, column):
        """Numbers beside marked ones ("87.1 %*") get a blank where the mark stands, so that the digits stay in line."""
        if column[0] in self.left or not any(text.endswith(MARKS) for text in column):
            return column
        return [text if not text or text.endswith(MARKS) else f"{text} " for text in column]

    def _spaced_notes(self):
        return ["", *self.notes] if self.notes else []

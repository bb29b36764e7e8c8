"""The live picture of a network, with a button that reboots the concentrator."""

from __future__ import annotations

import base64
import threading
from typing import TYPE_CHECKING, Any

from lq.errors import BadInput, RunFailed
from lq.widget import scene, shapes
from lq.widget.picture import WIDTH, draw
from lq.widget.view import View

if TYPE_CHECKING:
    from lq.live import Lab


def snapshot(lab: Lab, note: str = "") -> str:
    """Return the picture of the network as it is now, as SVG."""
    return shapes.svg(draw(scene.read(lab.view()), note))


class NetworkWidget(View):
    """What `Lab.widget` returns."""

    button = "Reboot the concentrator"

    def _look(self, lab: Lab) -> None:
        self._scene = scene.read(lab.view())

    def _content(self) -> str:
        known = self.front is not None and self.front.width
        return shapes.svg(draw(self._scene, width=self.front.width if known else WIDTH))

    def _still(self, note: str) -> dict[str, Any]:
        drawing = draw(self._scene, note)
        return {
            "image/svg+xml": shapes.svg(drawing),
            "image/png": base64.b64encode(shapes.png(drawing)).decode("ascii"),
            "text/plain": f"{scene.words(self._scene)}\n({note})",
        }

    def _essence(self) -> Any:
        return self._scene.gist

    def _spoken(self) -> str:
        return scene.words(self._scene)

    def _pressed(self) -> None:
        if not (self.front.busy or self._ended.is_set()):
            self.front.busy = True
            threading.Thread(target=self._reboot, daemon=True).start()

    def _reboot(self) -> None:
        self.front.message = "rebooting: the controller is killed, the switch forgets"
        try:
            if (lab := self._lab()) is not None:
                lab.reboot()
            self.front.message = "the new controller has the switch"
        except (BadInput, RunFailed) as error:
            self.front.message = str(error)
        finally:
            self.front.busy = False

"""Gates: what of a video is worth an inference, and what of the results is worth a message.

A gate is fed with one thing after the other and says which of them count. It keeps state, belongs to one function, and
is fed in the order of the frames: not by several threads at once. Time is that of the media where ``at`` is given
(``frame.position``), else that of ``clock``: always the one or always the other. Thresholds and times may be changed
at any time.
"""

from edgefn.gates.label import LabelGate
from edgefn.gates.motion import MotionGate
from edgefn.gates.presence import PresenceEvent, PresenceGate
from edgefn.gates.threshold import ThresholdGate

__all__ = ["LabelGate", "MotionGate", "PresenceEvent", "PresenceGate", "ThresholdGate"]

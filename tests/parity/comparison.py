"""Tensors of bnc beside those of float64 PyTorch. A script that imports this ends as skipped where PyTorch is not installed."""
import sys

import numpy as np
from harness import SKIPPED

try:
    import torch  # noqa: F401
    from torch.nn import functional  # noqa: F401
except ImportError:
    print("skipped: PyTorch is not installed (apt-get install python3-torch)")
    sys.exit(SKIPPED)


class Comparison:
    """Counts what was compared, and keeps the worst and all that is wrong."""

    def __init__(self, tolerance):
        self.tolerance, self.count, self.worst, self.wrong = tolerance, 0, ("", 0.0), []

    def add(self, name, ours, theirs):
        ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
        self.count += 1
        if ours.shape != theirs.shape:
            return self.wrong.append(f"{name} is {list(ours.shape)}, expected {list(theirs.shape)}")
        difference = ours - theirs
        relative = np.linalg.norm(difference) / max(np.linalg.norm(theirs), 1e-30)
        if not relative <= self.worst[1]:
            self.worst = (name, relative)
        if relative <= self.tolerance:
            return None
        broken = np.argwhere(~np.isfinite(difference))
        index = tuple(broken[0]) if len(broken) else np.unravel_index(np.argmax(np.abs(difference)), difference.shape)
        what = f"is not finite at {len(broken)} of {difference.size} places" if len(broken) else f"differs by {relative:.1e}; most"
        return self.wrong.append(f"{name} {what}, at {[int(i) for i in index]}: {ours[index]:.6g} instead of {theirs[index]:.6g}")

    def report(self, network, what, seconds):
        print(f"{'WRONG' if self.wrong else 'ok   '} {network:<16} {what:<8} {self.count:>4} tensors, the worst by {self.worst[1]:.1e} "
              f"({self.worst[0]}; tolerance {self.tolerance:.0e}), {seconds:.1f} s", flush=True)
        for text in self.wrong[:8]:
            print(f"        {text}")
        if len(self.wrong) > 8:
            print(f"        and {len(self.wrong) - 8} more")
        return not self.wrong

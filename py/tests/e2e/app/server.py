"""Says which packages it has found."""

import alpha
import split

from lib import branding

if __name__ == "__main__":
    print("server", branding.LINE, alpha.NAME, split.NAME)

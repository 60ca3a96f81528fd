"""SDNext's own logger."""

import logging

log = logging.getLogger("sd")

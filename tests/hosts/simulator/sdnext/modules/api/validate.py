"""SDNext's request log and rate limit: only the two tables that extensions may add to; nothing is limited here."""

log_exclude_prefix: list[str] = ["/sdapi/v1/log"]
request_cost: dict[str, float] = {"/sdapi/v1/txt2img": 1}

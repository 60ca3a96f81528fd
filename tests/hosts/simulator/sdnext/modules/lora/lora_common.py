"""The LoRAs in effect, in SDNext's place for them. The list object stays; its content is replaced at each generation."""

from typing import Any

loaded_networks: list[Any] = []

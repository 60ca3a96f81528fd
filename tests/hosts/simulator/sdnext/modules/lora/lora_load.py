"""SDNext's place for reading the LoRA folder anew."""


def list_available_networks() -> None:
    from simulated import networks

    networks.list_available()

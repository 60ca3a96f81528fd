"""What is used together: co-use, companions, LoRAs that are alike, and what the user says of recommendations."""

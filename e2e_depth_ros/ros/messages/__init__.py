"""Messages to arrays and back, and how a message is refused."""

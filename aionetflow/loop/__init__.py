"""The application's side: asyncio, unchanged, on the virtual network."""

"""An event loop of our own: asyncio's, with compiled turns, and real, virtual or manual time."""

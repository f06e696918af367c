"""How policy objects are doing: their statuses, and when each is written."""

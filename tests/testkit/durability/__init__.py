"""`make durability`: commands and events while instances and servers are killed, and a checker."""

"""HTTP/2 as unary gRPC calls need it, on an asyncio transport. See https://www.rfc-editor.org/rfc/rfc9113."""

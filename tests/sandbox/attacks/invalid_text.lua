-- Bytes that are no text in any encoding, NUL among them, before a right line.
-- expect=wrong_output
io.write("\255\254\0\192\175\237\160\128\244\144\128\128\r\n\27[2J\7held\n")

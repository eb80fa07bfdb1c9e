"""Web applications that call the sample; servers run them in several workers."""

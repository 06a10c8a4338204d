"""What a user configures: config.pbtxt and the options of the server, parsed, completed, validated."""

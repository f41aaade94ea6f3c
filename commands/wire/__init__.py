"""What the commands that talk to meters share.

============  ==============================================================================
`options`     LINK, METER, --protocol, --profile, --trace, passwords, --yes
`lines`       from LINK to a master or a Modbus meter, and back to a closed port
`showing`     values as tables and as JSON
`orders`      outcomes: done, failed, unknown, and their exit status
============  ==============================================================================
"""

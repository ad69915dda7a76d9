metadata description = 'The workbook: what runs, in one page. Its text is bicep/workbook.json.'

@description('The region.')
param location string
@description('The tags of every resource.')
param tags object
@description('The start of every name, like `comply-ai-dev`.')
param namePrefix string
@description('The workspace that its queries read.')
param logAnalyticsWorkspaceId string

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  // A workbook's name is a GUID; the same one at every deployment.
  name: guid(resourceGroup().id, namePrefix, 'workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: '${namePrefix}: what runs'
    category: 'workbook'
    version: '1.0'
    sourceId: logAnalyticsWorkspaceId
    serializedData: loadTextContent('../workbook.json')
  }
}

@description('The workbook.')
output id string = workbook.id

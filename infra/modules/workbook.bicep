// A workbook on the workspace: the questions of docs/operating.md, asked of the last 30 days. They are files, so that page and
// tests read the very same.

@description('Azure region.')
param location string

@description('Tags of what is made.')
param tags { *: string }

@description('Resource id of the workspace that is asked.')
param workspaceId string

@description('The questions; the first line of each is a comment that asks it.')
var questions = [
  loadTextContent('../questions/stored-by-day.kql')
  loadTextContent('../questions/failed-where.kql')
  loadTextContent('../questions/behind.kql')
  loadTextContent('../questions/delivery-time.kql')
  loadTextContent('../questions/longest-steps.kql')
  loadTextContent('../questions/destination-speed.kql')
  loadTextContent('../questions/many-attempts.kql')
  loadTextContent('../questions/runs.kql')
  loadTextContent('../questions/stored-by-month.kql')
  loadTextContent('../questions/backup-age.kql')
]

@description('Each as a part of the workbook.')
var answers = [
  for question in questions: {
    type: 3
    name: substring(split(question, '\n')[0], 3)
    content: {
      version: 'KqlItem/1.0'
      title: substring(split(question, '\n')[0], 3)
      query: question
      size: 0
      timeContext: { durationMs: 2592000000 }
      queryType: 0
      resourceType: 'microsoft.operationalinsights/workspaces'
    }
  }
]

resource workbook 'Microsoft.Insights/workbooks@2023-06-01' = {
  name: guid(resourceGroup().id, 'bic workbook')
  location: location
  tags: tags
  kind: 'shared'
  properties: {
    displayName: 'bic'
    category: 'workbook'
    sourceId: workspaceId
    version: 'Notebook/1.0'
    serializedData: string({
      version: 'Notebook/1.0'
      items: answers
      fallbackResourceIds: [workspaceId]
    })
  }
}
